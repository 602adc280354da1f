"""A whole installation in the test's process, with the slow job among its definitions."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backtest_pipelines.executions.settings import VARIABLES, settings_from
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Worker, Workers
from backtest_pipelines.service.supervisor.installation import installation
from backtest_pipelines_tests.service.dagster import Web, until, witness

DEFINITIONS = "backtest_pipelines_tests.service.slow_definitions"


@dataclass(frozen=True)
class Service:
    """A running installation.

    Attributes
    ----------
    home : Path
    url : str
        Of the API, which passes on to Dagster's web server.
    web : Web
    workers : Workers
    """

    home: Path
    url: str
    web: Web
    workers: Workers

    def child_of(self, run_id: str) -> Worker:
        """Wait for a child to execute the run, and return it."""
        until(lambda: any(worker.run_id == run_id for worker in self.workers.alive()), 15, "a child")
        return next(worker for worker in self.workers.alive() if worker.run_id == run_id)

    def begun(self, run_id: str) -> None:
        """Wait for the step of a slow run to begin."""
        until(lambda: bool(witness(self.home, run_id)), 30, "the step")


@contextmanager
def running_service(home: Path, variables: Mapping[str, str] | None = None) -> Iterator[Service]:
    """Start an installation on a home, with some variables in its environment; at the end stop it."""
    environ = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, "DAGSTER_HOME")}
    environ |= {"BACKTEST_HOME": str(home), **(variables or {})}
    settings = settings_from(environ)
    with (
        Database(settings.database) as database,
        installation(settings, environ, on_event=print, definitions=DEFINITIONS) as running,
    ):
        running.supervisor.wait_until_ready()
        yield Service(home, running.url, Web(running.url), Workers(database))
