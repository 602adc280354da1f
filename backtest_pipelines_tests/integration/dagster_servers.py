"""Real servers on a small sample market, for the tests that launch runs the way users do."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from backtest_pipelines.defs.inbox import QUIET_S
from backtest_pipelines.executions.settings import VARIABLES, settings_from
from backtest_pipelines.graphql.names import REPOSITORY
from backtest_pipelines.graphql.web_server import POLL_S, EndedRun, WebServer
from backtest_pipelines.market.sample import write_sample_market
from backtest_pipelines.service.supervisor.installation import installation as started_installation
from backtest_pipelines.service.supervisor.supervisor import Supervisor
from backtest_pipelines_tests.servers import PATIENT

WEEKLY = "call_sell_future_buy_weekly"
RUN_S = 120.0
TICKS = """
query Ticks($sensor: SensorSelector!) {
  sensorOrError(sensorSelector: $sensor) {
    ... on Sensor { sensorState { ticks(limit: 10) { timestamp status runIds error { message } } } }
  }
}
"""


@dataclass(frozen=True)
class Installation:
    """A running installation: its home, its address, and the runs of the sensor's first look at the inbox."""

    home: Path
    url: str
    dagster: WebServer
    first_runs: tuple[EndedRun, ...]
    supervisor: Supervisor

    def kill(self, name: str) -> None:
        """Kill one of its processes; another one takes its place."""
        (leader,) = [child.leader for child in self.supervisor.children if child.part.name == name]
        assert leader is not None
        os.kill(leader.pid, signal.SIGKILL)


def write_small_market(folder: Path) -> None:
    """Write May and half of June 2024."""
    write_sample_market(folder, first=date(2024, 5, 1), last=date(2024, 6, 14))


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything started, and the sample ingested by the sensor alone."""
    home = tmp_path_factory.mktemp("home")
    write_small_market(home / "inbox")
    written_at = time.time()
    with pytest.MonkeyPatch.context() as patch:
        for name in (*VARIABLES, "DAGSTER_HOME"):
            patch.delenv(name, raising=False)
        time.sleep(max(0.0, written_at + QUIET_S + 0.5 - time.time()))
        since = time.time()
        environ = os.environ | PATIENT
        settings = settings_from(environ, home=home)
        with started_installation(settings, environ, on_event=print) as running:
            running.supervisor.wait_until_ready()
            dagster = WebServer(running.web_url)
            runs = [dagster.wait(run, RUN_S) for run in runs_of_look(dagster, since)]
            yield Installation(home, running.url, dagster, tuple(runs), running.supervisor)
    assert processes_naming(home) == []


def runs_of_look(dagster: WebServer, since: float) -> tuple[str, ...]:
    """Wait for the inbox sensor's first look since a time and return the runs that it requested."""
    deadline = time.monotonic() + RUN_S
    while time.monotonic() < deadline:
        sensor = dagster.ask(TICKS, sensor={**REPOSITORY, "sensorName": "inbox_sensor"})["sensorOrError"]
        ticks = [tick for tick in sensor["sensorState"]["ticks"] if tick["timestamp"] >= since]
        for tick in sorted(ticks, key=lambda tick: float(tick["timestamp"])):
            assert tick["status"] != "FAILURE", tick["error"]
            if tick["status"] in ("SUCCESS", "SKIPPED"):
                return tuple(tick["runIds"])
        time.sleep(POLL_S)
    pytest.fail("the sensor did not look")


def processes_naming(home: Path) -> list[str]:
    """Return the running processes with the home among their arguments or in their environment."""
    with_environment = ["-axEww"] if sys.platform == "darwin" else ["axeww"]
    command = ["ps", *with_environment, "-o", "pid,command"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return [line for line in found.stdout.splitlines() if str(home) in line]
