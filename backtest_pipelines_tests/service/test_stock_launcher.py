"""Without a worker a run is started by Dagster's own launcher, through the same claim, and its log says so."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backtest_pipelines.executions.settings import VARIABLES, settings_from
from backtest_pipelines.records.claims import STOCK, Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Workers
from backtest_pipelines.service.supervisor import home as homes
from backtest_pipelines.service.supervisor import parts
from backtest_pipelines.service.supervisor.child import Child
from backtest_pipelines.service.supervisor.supervisor import Supervisor
from backtest_pipelines_tests.ports import free_port
from backtest_pipelines_tests.service.dagster import Web, until, witness
from backtest_pipelines_tests.service.running import DEFINITIONS


@dataclass(frozen=True)
class WithoutWorker:
    home: Path
    web: Web
    claims: Claims
    workers: Workers


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WithoutWorker]:
    home = tmp_path_factory.mktemp("home")
    environ = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, "DAGSTER_HOME")}
    environ |= {"BACKTEST_HOME": str(home), "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}  # nobody is there
    settings = settings_from(environ)
    dagster_home = homes.prepare_dagster_home(settings)
    code, port = tmp_path_factory.mktemp("s") / "code.sock", free_port()
    workspace = homes.write_workspace(dagster_home, code)
    complete = {**environ, **homes.environment(settings, dagster_home, None)}
    wanted = [
        parts.store_part(),
        parts.code_part(code, DEFINITIONS, port, ("store",)),
        parts.web_part(port, workspace, ("store", "code")),
        parts.daemon_part(port, workspace, ("store", "code")),
    ]
    children = [Child(part, complete, home / "logs") for part in wanted]
    supervisor = Supervisor(children, on_change=lambda: None, on_event=print)
    with Database(settings.database) as database:
        Workers(database).alive()
        supervisor.start()
        try:
            supervisor.wait_until_ready()
            yield WithoutWorker(home, Web(f"http://127.0.0.1:{port}"), Claims(database), Workers(database))
        finally:
            supervisor.stop()
            supervisor.wait()


def test_without_any_worker_the_stock_launcher_runs_it_and_says_so(service: WithoutWorker) -> None:
    run_id = service.web.launch_slow()
    assert service.web.wait(run_id, 40) == "SUCCESS"
    assert "No worker shows a sign of life" in service.web.words(run_id)
    claim = service.claims.get(run_id)
    assert claim is not None
    assert claim.owner.startswith(STOCK)
    assert [line.split()[0] for line in witness(service.home, run_id)] == ["begin", "end"]


def test_a_run_that_waits_for_a_worker_that_dies_is_started_the_stock_way(service: WithoutWorker) -> None:
    service.workers.show("a worker that will not be heard of again", "host", 1, None)
    run_id = service.web.launch_slow()
    time.sleep(4)
    assert service.web.status(run_id) == "QUEUED"
    assert service.claims.get(run_id) is None
    assert service.web.wait(run_id, 60) == "SUCCESS"


def test_a_run_of_the_stock_launcher_is_cancelled(service: WithoutWorker) -> None:
    run_id = service.web.launch_slow(seconds=60)
    until(lambda: bool(witness(service.home, run_id)), 40, "the step")
    assert service.web.cancel(run_id) == "TerminateRunSuccess"
    assert service.web.wait(run_id, 20) == "CANCELED"


def test_the_retry_of_a_stock_run_whose_process_died_succeeds(service: WithoutWorker) -> None:
    run_id = service.web.launch_slow(seconds=3)
    until(lambda: bool(witness(service.home, run_id)), 40, "the step")
    os.kill(int(witness(service.home, run_id)[0].split()[1]), 9)
    until(lambda: len(service.web.group(run_id)) == 2, 30, "a retry")
    assert service.web.wait(service.web.group(run_id)[1]["runId"], 60) == "SUCCESS"
