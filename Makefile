# `make demo` and `make test` set up everything that they need below this folder. `make help` lists all targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The lock names every package, so nothing is resolved; pip check then says whether all fit.
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps
# Invented and real prices do not share a home.
HOME_FOLDER := $(CURDIR)/.backtest$(if $(DATA),/own)
# Hundreds of processes are started here, each of which would compile the program.
unexport PYTHONDONTWRITEBYTECODE
# One more than cores, on two of them: many tests wait for processes.
WORKERS ?= 3
ROUNDS ?= 1

.DEFAULT_GOAL := help

.PHONY: help demo dev test check bench bench-service bench-api bench-cache chaos docs lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED)  ## run the three variants as Dagster runs on an invented market; DATA=FOLDER takes your own files
	$(BIN)/python -m backtest_pipelines.demo --home "$(HOME_FOLDER)" $(if $(DATA),--data "$(DATA)")

dev: $(INSTALLED)  ## start the whole service with Dagster's UI on the home folder; Ctrl-C stops it
	$(BIN)/backtest-pipelines up --home "$(HOME_FOLDER)" $(if $(DATA),--inbox "$(DATA)")

test: $(INSTALLED)  ## run all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

check: $(INSTALLED)  ## run the linter, the formatter, the type checker and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(INSTALLED)  ## print speed figures beside pandas; BACKTEST_REAL_DATA=FOLDER measures the ingest too
	$(BIN)/python -m backtest_pipelines_tests.benchmarks

bench-service: $(INSTALLED)  ## print the service's times and memory beside those of Dagster's stock launcher
	$(BIN)/python -m backtest_pipelines_tests.benchmarks.service

bench-api: $(INSTALLED)  ## print how fast the REST API answers, alone, beside Dagster's UI, and beside runs
	$(BIN)/python -m backtest_pipelines_tests.benchmarks.api

bench-cache: $(INSTALLED)  ## print what a look-up costs with Redis up and paused
	$(BIN)/python -m backtest_pipelines_tests.benchmarks.cache

chaos: $(INSTALLED)  ## kill and stop the parts of a service at random times and check its work; ROUNDS=N, SEED=S repeats
	$(BIN)/python -m backtest_pipelines_tests.chaos --rounds $(ROUNDS) $(if $(SEED),--seed $(SEED)) $(CHAOS_ARGS)

docs: $(INSTALLED)  ## write the tables of the docs again
	$(BIN)/python -m backtest_pipelines_tests.docs.tables

lock: $(INSTALLED)  ## resolve the dependencies of pyproject.toml again
	$(BIN)/uv pip compile --universal --upgrade --generate-hashes --no-emit-index-url --no-header \
		--python-version 3.11 --extra dev --output-file requirements.lock pyproject.toml

clean:  ## remove the environment and the home folder of demo and dev
	rm -rf $(VENV) "$(HOME_FOLDER)"

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
		|| { echo "Python 3.11 to 3.13 is needed, $$($(PYTHON) --version) was found; name one: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV)
	@echo "Installing the locked packages into $(VENV); this takes a minute or two."
	@$(PIP) --require-hashes --requirement requirements.lock
	@$(PIP) --no-build-isolation --editable .
	@$(BIN)/python -m pip check --disable-pip-version-check
	@$(BIN)/python -m compileall -q backtest_pipelines
	@touch $(INSTALLED)
