"""What is hurt: one installation with its Postgres or SQLite and its Redis, and handles on each of its processes."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import psutil
import redis

from backtest_pipelines.client import Client
from backtest_pipelines.errors import BacktestError
from backtest_pipelines.executions.settings import VARIABLES, Settings, settings_from
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.records.claims import Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Worker, Workers
from backtest_pipelines.service.bell import Bell, celery_app, queue_name
from backtest_pipelines.service.supervisor.installation import clear_away
from backtest_pipelines.service.supervisor.sessions import Leader
from backtest_pipelines.service.supervisor.state import SupervisorState, read_state
from backtest_pipelines.service.supervisor.status import process_statuses, running_state
from backtest_pipelines_tests.chaos.up import READY
from backtest_pipelines_tests.integration.dagster_servers import write_small_market
from backtest_pipelines_tests.ports import free_port
from backtest_pipelines_tests.postgres import PostgresServer
from backtest_pipelines_tests.service.dagster import Web, until

READY_S = 120.0
WELL_S = 90.0
STOP_S = 90.0
CLIENT_RETRIES_S = 60.0
PATIENCE_S = 60.0
SHOWN_S = 2.5
"""A child that shows itself each second, or each half, and has done so within this time, lives."""


class Target:
    """An installation that is up on entering, and gone on leaving.

    Parameters
    ----------
    folder : Path
        Empty; for the home, the sample market and Postgres.
    postgres : PostgresServer or None
        Running, and this target's own: it will be killed. None: SQLite.
    long_stop_s : float
        How long a worker stands still where that is the fault.
    """

    def __init__(self, folder: Path, postgres: PostgresServer | None, *, long_stop_s: float = 10.0) -> None:
        self.home = folder / "home"
        self.postgres = postgres
        self.long_stop_s = long_stop_s
        self._inbox = folder / "market"
        self._port = free_port()
        self._process: subprocess.Popen[str] | None = None
        self._environ = {name: text for name, text in os.environ.items() if name not in (*VARIABLES, "DAGSTER_HOME")}
        self._environ |= {"BACKTEST_HOME": str(self.home)}
        if postgres is not None:
            self._environ |= {"BACKTEST_POSTGRES_URL": postgres.new_database()}

    def __enter__(self) -> Self:
        write_small_market(self._inbox)
        ingest(exchange_files(self._inbox), PanelStore(self.home / "panel"))
        try:
            self.up()
        except BaseException:
            self.down()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.down()
        self.database.close()

    def up(self) -> None:
        """Start a supervisor, and through it all that does not run; return when everything answers."""
        log = self.home / "up.log"
        with log.open("a") as output:
            start = output.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "backtest_pipelines_tests.chaos.up", str(self._port)],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
                start_new_session=True,
            )

        def is_ready() -> bool:
            said = log.read_text()[start:]
            assert self._process is not None
            assert self._process.poll() is None, f"the installation does not start: {said}"
            return READY in said.splitlines()

        until(is_ready, READY_S, "the installation")

    def down(self) -> None:
        """Stop everything, and kill what will not stop."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
            self._process.kill()
            self._process.wait()
        clear_away(self.home)

    def kill_supervisor(self) -> None:
        """Kill the supervisor alone."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def state(self) -> SupervisorState:
        found = read_state(self.home)
        assert found is not None, "no supervisor runs"
        return found

    def leader(self, name: str) -> Leader:
        """Return the process that the supervisor started under a name."""
        (process,) = [process for process in self.state.processes if process.name == name]
        assert process.leader is not None, f"{name} does not run"
        return process.leader

    @property
    def web(self) -> Web:
        """Dagster's own web server."""
        return _PatientWeb(self.state.web_url)

    @cached_property
    def client(self) -> Client:
        return Client(f"http://127.0.0.1:{self._port}", retry_s=CLIENT_RETRIES_S)

    @cached_property
    def settings(self) -> Settings:
        return settings_from(self._environ)

    @cached_property
    def database(self) -> Database:
        return Database(self.settings.database)

    @cached_property
    def claims(self) -> Claims:
        return Claims(self.database)

    def living_children(self) -> list[Worker]:
        """Return the worker's children that show themselves."""
        return [found for found in Workers(self.database).alive(SHOWN_S) if _is_running(found.pid)]

    def idle_child(self) -> Worker:
        until(lambda: any(child.run_id is None for child in self.living_children()), 20, "an idle child")
        return next(child for child in self.living_children() if child.run_id is None)

    def child_of(self, run_id: str) -> Worker:
        """Wait for a child to execute the run, and return it."""
        until(lambda: any(child.run_id == run_id for child in self.living_children()), 20, "a child")
        return next(child for child in self.living_children() if child.run_id == run_id)

    @property
    def queue(self) -> str:
        """Key of the list of bells."""
        return queue_name(self.settings.database)

    def redis(self) -> redis.Redis:
        url = self.state.redis_url
        assert url is not None
        return redis.Redis.from_url(url, socket_timeout=10)

    def bell(self) -> Bell:
        environ = self._environ | {"REDIS_URL": str(self.state.redis_url)}
        return Bell(celery_app(settings_from(environ)))

    def is_well(self) -> bool:
        """Say whether everything answers, and all children of the worker are there."""
        state = running_state(self.home)
        if state is None or not all(process.is_up for process in process_statuses(state)):
            return False
        try:
            return len(self.living_children()) >= self.settings.limits.workers
        except BacktestError:
            return False

    def repair(self) -> None:
        """Wait until nothing of a fault is left to be seen; the supervisor is started where it does not run."""
        if self._process is None or self._process.poll() is not None:
            self.up()
        until(self.is_well, WELL_S, "everything to run again")

    def copy_of_panels(self, folder: Path) -> None:
        """Give another home the same market."""
        shutil.copytree(self.home / "panel", folder / "panel")


class _PatientWeb(Web):
    """Asks again: a web server whose database went away fails once for each of its old connections.

    A launch whose answer was lost may so be one of two: the first is then a run that nobody waits for.
    """

    def ask(self, document: str, **variables: object) -> dict[str, Any]:
        deadline_s = time.monotonic() + PATIENCE_S
        while True:
            try:
                return super().ask(document, **variables)
            except (httpx.HTTPError, AssertionError):
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(0.1)


def signal_session(leader: Leader, number: signal.Signals) -> None:
    """Send a signal to a process and all that it started."""
    for pid in leader.members():
        signal_process(pid, number)


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def wait_for_the_end_of(pid: int, timeout_s: float = 20.0) -> None:
    until(lambda: not _is_running(pid), timeout_s, f"process {pid} to end")


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
