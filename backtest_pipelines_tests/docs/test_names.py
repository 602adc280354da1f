"""What the program offers is named in the docs; a new name without a place there fails a test."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import dagster as dg
import pytest
from fastapi import FastAPI

from backtest_pipelines import __version__
from backtest_pipelines.api.app import create_app
from backtest_pipelines.api.listening import Listening
from backtest_pipelines.api.login.graphql_documents import RUN_MUTATIONS
from backtest_pipelines.api.login.scopes import WORDS
from backtest_pipelines.cli import entry
from backtest_pipelines.definitions import defs
from backtest_pipelines.defs.metadata import execution_metadata
from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.executions.execute import Executed, execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import Settings, settings_from
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.market.sample import write_sample_market
from backtest_pipelines.market.symbols import SYMBOLS
from backtest_pipelines.panel.formats.cleaned import CLEANED
from backtest_pipelines.panel.formats.index_closes import NEEDED
from backtest_pipelines.panel.formats.legacy import LEGACY
from backtest_pipelines.panel.formats.udiff import UDIFF
from backtest_pipelines.panel.ingest import ingest
from backtest_pipelines.panel.symbol_tables import TABLE_NAMES
from backtest_pipelines.records.executions import Door, Execution
from backtest_pipelines.strategies.question import EXITS_AT_EXPIRY
from backtest_pipelines_tests.api import test_contract as contract
from backtest_pipelines_tests.docs.markdown import DOCS, PROJECT, first_cells, names, section
from backtest_pipelines_tests.docs.test_code_blocks import FIRST_DAY

ANSWERS = DOCS / "reference" / "answers.md"
DAGSTER = DOCS / "how-to" / "use-dagster.md"
EXECUTIONS = DOCS / "reference" / "executions.md"
REST = DOCS / "reference" / "rest-api.md"
STRATEGIES = DOCS / "reference" / "strategies.md"


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Executed:
    """An answer with costs, so that it has every column."""
    folder = tmp_path_factory.mktemp("names")
    write_sample_market(folder / "files", first=FIRST_DAY, last=FIRST_DAY.replace(day=21))
    with Workspace(Settings(folder / "home", folder / "files", redis=None)) as workspace:
        ingest(sorted((folder / "files").iterdir()), workspace.panels)
        return execute(ExecutionRequest("call_sell_future_buy_weekly", costs=True), workspace)


@pytest.mark.parametrize("table", ["trades", "notices", "equity"])
def test_the_columns_of_an_answer_are_described_in_their_order(executed: Executed, table: str) -> None:
    described = first_cells(section(ANSWERS, f"## {table.capitalize()}"))
    assert described == getattr(executed.answer, table).column_names


def test_the_metadata_of_a_materialization_is_described(executed: Executed) -> None:
    assert set(execution_metadata(executed)) - names(DAGSTER) == set()


def test_the_provenance_of_an_answer_is_described(executed: Executed) -> None:
    assert sorted(first_cells(section(ANSWERS, "## Provenance"))) == sorted(executed.answer.provenance)


def test_the_pivot_of_an_answer_is_described(executed: Executed) -> None:
    assert sorted(first_cells(section(ANSWERS, "## Pivot"))) == sorted(executed.answer.pivot)


def test_the_table_of_executions_is_described() -> None:
    described = first_cells(section(EXECUTIONS, "## Columns"))
    assert sorted(described) == sorted(field.name for field in fields(Execution))
    assert {f"`{door}`" for door in get_args(Door)} - {f"`{name}`" for name in names(EXECUTIONS)} == set()


def test_the_parts_of_a_request_are_described() -> None:
    described = first_cells(section(STRATEGIES, "## Parts of a question"))
    how = {"use_cache", "door", "run_id", "request_id", "job_id", "attempt"}
    assert set(described) == {field.name for field in fields(ExecutionRequest)} - how
    assert how - names(DOCS / "how-to" / "run-a-backtest.md") == set()
    assert {*SYMBOLS, *EXITS_AT_EXPIRY} - names(STRATEGIES) == set()


def test_every_asset_job_schedule_sensor_and_resource_is_described() -> None:
    repository = defs().get_repository_def()
    offered = {
        *(key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()),
        *(name for name in repository.job_names if not name.startswith("__")),
        *(sensor.name for sensor in repository.sensor_defs),
        *(schedule.name for schedule in repository.schedule_defs),
        *repository.get_top_level_resources(),
        *WorkspaceResource.model_fields,
    }
    assert offered - names(DAGSTER) == set()


def test_every_field_of_a_config_is_described() -> None:
    asset = defs().get_assets_def(dg.AssetKey("call_sell_future_buy_weekly"))
    schema = asset.op.config_schema
    assert schema is not None
    fields_of_config = set(schema.as_field().config_type.fields)  # type: ignore[attr-defined]
    assert fields_of_config - names(DAGSTER) == set()


def test_the_columns_that_files_need_are_described() -> None:
    needed = {*LEGACY.needed, *UDIFF.needed, *CLEANED.needed, *NEEDED}
    assert needed - names(DOCS / "reference" / "file-formats.md") == set()


def test_the_tables_of_the_panel_are_described() -> None:
    assert set(TABLE_NAMES) - names(DOCS / "architecture.md") == set()


def test_every_route_is_described(tmp_path: Path) -> None:
    app: Any = create_app(settings_from({}, home=tmp_path), "http://127.0.0.1:1", Listening())
    while not isinstance(app, FastAPI):
        app = app.app
    text = REST.read_text(encoding="utf-8")
    undescribed = [path for path in app.openapi()["paths"] if f"{path.removeprefix('/api/v1')}`" not in text]
    assert undescribed == []


@pytest.mark.parametrize(
    "shape",
    [
        *(contract.ACCEPTED, contract.EXECUTED, contract.JOB, contract.RESULT_OF_JOB, contract.UNKNOWN_JOB),
        *(contract.STRATEGY, contract.EXECUTION, contract.METRICS, contract.METRICS_OF_STRATEGY),
        *(contract.CACHE_STATS, contract.CACHE_HEALTH, contract.INVALIDATED, contract.READY, contract.PROBLEM_OF_FIELD),
    ],
)
def test_every_member_of_the_rest_api_is_described(shape: Mapping[str, object]) -> None:
    assert _members(shape) - names(REST) - names(DOCS / "reference" / "rest-api-questions.md") == set()


def _members(shape: object) -> set[str]:
    if not isinstance(shape, Mapping):
        return set()
    return set(shape).union(*(_members(part) for part in shape.values()))


def test_scopes_and_their_mutations_are_described() -> None:
    assert {*WORDS, *RUN_MUTATIONS} - names(DOCS / "how-to" / "protect-the-service.md") == set()


def test_the_rooms_are_described() -> None:
    rooms = {
        path.name if path.is_dir() else path.stem
        for path in (PROJECT / "backtest_pipelines").iterdir()
        if path.name not in ("__init__.py", "__main__.py", "__pycache__", "py.typed")
    }
    described = {name.rstrip("/").removesuffix(".py") for name in names(DOCS / "architecture.md")}
    assert rooms - described == set()


def test_every_dependency_has_a_reason() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    dependencies = {re.split(r"[><=;\[ ]", text)[0] for text in wanted}
    described = first_cells((DOCS / "decisions" / "dependencies.md").read_text(encoding="utf-8"))
    assert sorted(described) == sorted(dependencies)


def test_every_command_is_described() -> None:
    described = {name.split()[0] for name in names(DOCS / "command-line.md")}
    assert set(entry.COMMANDS) - described == set()


def test_every_target_of_the_makefile_is_described() -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))
    assert {f"make {target}" for target in targets} - names(PROJECT / "README.md") == set()


def test_the_changelog_names_the_version() -> None:
    assert f"## {__version__}\n" in (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_record_of_a_decision_is_listed() -> None:
    text = (DOCS / "decisions" / "README.md").read_text(encoding="utf-8")
    records: set[Path] = set((DOCS / "decisions").glob("*.md")) - {DOCS / "decisions" / "README.md"}
    assert [path.name for path in sorted(records) if f"({path.name})" not in text] == []
