"""What the benchmark of the service measures: an installation as users start it, and one with Dagster's stock launcher.

Each has a home of its own with the same market, a Redis of its own, and, with Postgres, a database of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from backtest_pipelines.executions.settings import VARIABLES, settings_from
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Workers
from backtest_pipelines.results.redis_cache import RedisSettings
from backtest_pipelines.service.supervisor import home as homes
from backtest_pipelines.service.supervisor import parts
from backtest_pipelines.service.supervisor.child import Child, Part
from backtest_pipelines.service.supervisor.installation import DEFINITIONS, installation
from backtest_pipelines.service.supervisor.redis import redis_part
from backtest_pipelines.service.supervisor.sessions import memory_mb
from backtest_pipelines.service.supervisor.state import read_state
from backtest_pipelines.service.supervisor.status import process_statuses
from backtest_pipelines.service.supervisor.supervisor import Supervisor
from backtest_pipelines_tests.benchmarks import market
from backtest_pipelines_tests.ports import free_port

STOP_S = 60.0
STOCK_QUEUE = {
    "dequeue_interval_seconds": 1,
    "dequeue_use_threads": True,
    "dequeue_num_workers": 4,
    "max_concurrent_runs": 4,
}
STOCK = {
    "run_queue": STOCK_QUEUE,
    "run_retries": {"enabled": True, "max_retries": 1, "retry_on_asset_or_op_failure": False},
}
"""The project's dagster.yaml before it had a launcher, in what differs: the queue, and Dagster's default launcher."""
OURS_ALONE = ("run_coordinator", "run_launcher", "run_monitoring", "event_log_storage")


@dataclass(frozen=True)
class Measured:
    """A running installation.

    Attributes
    ----------
    home : Path
    web_url : str
        Of Dagster's web server.
    url : str or None
        Of the API, where there is one.
    ready_s : float
        From the start until everything answered.
    supervisor : Supervisor or None
        Where it runs in this process.
    """

    home: Path
    web_url: str
    url: str | None
    ready_s: float
    supervisor: Supervisor | None = None

    def memory_mb(self) -> dict[str, float]:
        """Return the memory of each process with all that it started, shared pages in parts (PSS)."""
        if self.supervisor is None:
            state = read_state(self.home)
            assert state is not None
            return {status.name: status.memory_mb or 0.0 for status in process_statuses(state)}
        leaders = {child.part.name: child.leader for child in self.supervisor.children}
        return {name: memory_mb(leader.members()) or 0.0 for name, leader in leaders.items() if leader is not None}


def new_home(home: Path, market_folder: Path) -> Path:
    """Make a home with the market's panels."""
    shutil.copytree(market_folder, home / "panel")
    return home


def build_market(folder: Path) -> Path:
    """Build the panels that all homes are given a copy of."""
    market.build(PanelStore(folder))
    return folder


def environment(home: Path, postgres_url: str | None) -> dict[str, str]:
    """Return this process's environment with nothing of the project's in it but a home and a database."""
    kept = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, "DAGSTER_HOME")}
    # Processes that may not keep their byte code compile each import anew.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    database = {} if postgres_url is None else {"BACKTEST_POSTGRES_URL": postgres_url}
    return {**kept, "BACKTEST_HOME": str(home), **database}


@contextmanager
def ours(home: Path, postgres_url: str | None) -> Iterator[Measured]:
    """Run ``backtest-pipelines up`` in a process of its own."""
    command = [sys.executable, "-m", "backtest_pipelines", "up", "--home", str(home), "--port", "0"]
    start = time.perf_counter()
    with (home / "up.log").open("ab") as log:
        up = subprocess.Popen(command, env=environment(home, postgres_url), stdout=subprocess.PIPE, stderr=log)
    try:
        assert up.stdout is not None
        line = up.stdout.readline()
        ready_s = time.perf_counter() - start
        assert line, (home / "up.log").read_text()
        state = read_state(home)
        assert state is not None
        yield Measured(home, state.web_url, state.url, ready_s)
    finally:
        up.terminate()
        up.wait(STOP_S)


@contextmanager
def ours_with(home: Path, postgres_url: str | None, definitions: str = DEFINITIONS) -> Iterator[Measured]:
    """Run the same with other definitions, supervised by this process."""
    environ = environment(home, postgres_url)
    start = time.perf_counter()
    with installation(settings_from(environ), environ, on_event=_tell, definitions=definitions) as running:
        running.supervisor.wait_until_ready()
        ready_s = time.perf_counter() - start
        yield Measured(home, running.web_url, running.url, ready_s, running.supervisor)


@dataclass(frozen=True)
class Addition:
    """What an installation with Dagster's own parts has besides.

    Attributes
    ----------
    configuration : Mapping
        Of dagster.yaml.
    parts : sequence of Part
    """

    configuration: Mapping[str, object] = field(default_factory=dict)
    parts: Sequence[Part] = ()


@contextmanager
def stock(
    home: Path,
    postgres_url: str | None,
    definitions: str = DEFINITIONS,
    addition: Callable[[RedisSettings], Addition] = lambda _redis: Addition(),
) -> Iterator[Measured]:
    """Run the code server, the web server and the daemon with Dagster's own queue and launcher.

    Parameters
    ----------
    home : Path
    postgres_url : str or None
    definitions : str
    addition : callable
        Given the Redis that is started with them, returns what is added.
    """
    environ = environment(home, postgres_url)
    settings = settings_from(environ)
    dagster_home = homes.prepare_dagster_home(settings)
    sockets = Path(tempfile.mkdtemp(prefix="btb-"))
    redis_url = f"unix://{sockets / 'redis.sock'}?db=0"
    added = addition(RedisSettings(url=redis_url))
    configuration = dagster_home / "dagster.yaml"
    wanted_configuration = {**stock_configuration(configuration.read_text()), **added.configuration}
    configuration.write_text(json.dumps(wanted_configuration))  # JSON is YAML
    try:
        with Database(settings.database) as database:
            Workers(database).alive()  # makes the tables of the executions, as an installation does
        complete = {**environ, **homes.environment(settings, dagster_home, redis_url)}
        workspace_file = homes.write_workspace(dagster_home, sockets / "code.sock")
        port = free_port()
        needs = ("redis", "store", "code")
        wanted = [
            redis_part(home / "redis", sockets / "redis.sock"),
            parts.store_part(),
            parts.code_part(sockets / "code.sock", definitions, port, ("store",)),
            parts.web_part(port, workspace_file, needs),
            parts.daemon_part(port, workspace_file, needs),
            *added.parts,
        ]
        children = [Child(part, complete, home / "logs") for part in wanted]
        supervisor = Supervisor(children, on_change=lambda: None, on_event=_tell)
        start = time.perf_counter()
        supervisor.start()
        try:
            supervisor.wait_until_ready()
            ready_s = time.perf_counter() - start
            yield Measured(home, f"http://{parts.HOST}:{port}", None, ready_s, supervisor)
        finally:
            supervisor.stop()
            supervisor.wait()
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


def stock_configuration(text: str) -> Mapping[str, object]:
    """Return the project's dagster.yaml without its own coordinator and launcher."""
    configuration = yaml.safe_load(text)
    return {name: value for name, value in configuration.items() if name not in OURS_ALONE} | STOCK


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
