"""What the routes work with: the records, the answers, Dagster's web server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Final, ParamSpec, TypeVar

from fastapi import Depends, Request

from backtest_pipelines.api.desk import Desk
from backtest_pipelines.api.opened_workspace import OpenedWorkspace
from backtest_pipelines.api.reporting import Reports
from backtest_pipelines.api.web_server import WebServer
from backtest_pipelines.records.cursors import Cursors
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import ExecutionRecords
from backtest_pipelines.records.jobs import JobRecords

THREADS: Final = 4

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Services:
    """What the routes work with.

    Attributes
    ----------
    jobs : JobRecords
    executions : ExecutionRecords
    cursors : Cursors
    database : Database
        Where all of these are.
    answers : Path
        Folder of the answers.
    web : WebServer
    workspace : OpenedWorkspace
        For what computes, or looks at the cache.
    desk : Desk
        Where questions are answered.
    reports : Reports
        Of what it computed, for Dagster's UI.
    """

    jobs: JobRecords
    executions: ExecutionRecords
    cursors: Cursors
    database: Database
    answers: Path
    web: WebServer
    workspace: OpenedWorkspace
    desk: Desk
    reports: Reports
    _looking: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "records"))
    _computing: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(THREADS, "answers"))

    async def call(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Call what waits for a disk or a database in a thread, and return its value.

        A look at SQLite takes 0.1 ms, and one at a busy database seconds, for which nobody else is made to wait.
        """
        return await asyncio.get_running_loop().run_in_executor(self._looking, partial(function, *args, **named))

    async def compute(self, function: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
        """Call what answers questions in a thread of its own kind: however long it takes, records are looked at."""
        return await asyncio.get_running_loop().run_in_executor(self._computing, partial(function, *args, **named))

    def close(self) -> None:
        """End the threads, after what they are doing, and close the workspace."""
        self._looking.shutdown()
        self._computing.shutdown()
        self.desk.close()
        self.workspace.close()


async def _of_request(request: Request) -> Services:
    services: Services = request.state.services
    return services


WithServices = Annotated[Services, Depends(_of_request)]
"""Type of a route's parameter that is given the services."""
