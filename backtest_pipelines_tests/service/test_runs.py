"""Runs on warm workers, with real processes: cancelled, stopped by limits, killed, and woken from the dead."""

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backtest_pipelines.executions.settings import VARIABLES, settings_from
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Worker, Workers
from backtest_pipelines.service.supervisor.installation import installation
from backtest_pipelines_tests.service.dagster import Web, tag_of, until, witness

SOFT_LIMIT_S, HARD_LIMIT_S = 5, 9
DEFINITIONS = "backtest_pipelines_tests.service.slow_definitions"


@dataclass(frozen=True)
class Service:
    home: Path
    web: Web
    workers: Workers

    def child_of(self, run_id: str) -> Worker:
        """Wait for a child to execute the run, and return it."""
        until(lambda: any(worker.run_id == run_id for worker in self.workers.alive()), 15, "a child")
        return next(worker for worker in self.workers.alive() if worker.run_id == run_id)

    def begun(self, run_id: str) -> None:
        until(lambda: bool(witness(self.home, run_id)), 20, "the step")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    home = tmp_path_factory.mktemp("home")
    environ = {name: value for name, value in os.environ.items() if name not in (*VARIABLES, "DAGSTER_HOME")}
    environ |= {
        "BACKTEST_HOME": str(home),
        "BACKTEST_SOFT_LIMIT_S": str(SOFT_LIMIT_S),
        "BACKTEST_HARD_LIMIT_S": str(HARD_LIMIT_S),
    }
    settings = settings_from(environ)
    with (
        Database(settings.database) as database,
        installation(settings, environ, on_event=print, definitions=DEFINITIONS) as running,
    ):
        running.supervisor.wait_until_ready()
        yield Service(home, Web(running.url), Workers(database))


def test_a_run_starts_on_a_warm_worker(service: Service) -> None:
    run_id = service.web.launch_slow()
    assert service.web.wait(run_id, 10) == "SUCCESS"
    assert "Claimed by " in service.web.words(run_id)
    assert [line.split()[0] for line in witness(service.home, run_id)] == ["begin", "end"]


def test_a_waiting_run_is_cancelled_at_once_and_never_starts(service: Service) -> None:
    busy = [service.web.launch_slow(seconds=3) for _ in range(2)]
    for run_id in busy:
        service.begun(run_id)
    waiting = service.web.launch_slow()
    start = time.monotonic()
    assert service.web.cancel(waiting) == "TerminateRunSuccess"
    assert service.web.status(waiting) == "CANCELED"
    assert time.monotonic() - start < 1
    assert [service.web.wait(run_id, 10) for run_id in busy] == ["SUCCESS", "SUCCESS"]
    time.sleep(2)
    assert service.web.status(waiting) == "CANCELED"
    assert witness(service.home, waiting) == []


def test_a_run_under_way_is_cancelled_and_not_retried(service: Service) -> None:
    run_id = service.web.launch_slow(seconds=4.5)
    service.begun(run_id)
    start = time.monotonic()
    assert service.web.cancel(run_id) == "TerminateRunSuccess"
    assert time.monotonic() - start < 1
    assert service.web.wait(run_id, 3) == "CANCELED"
    assert [line.split()[0] for line in witness(service.home, run_id)] == ["begin"]
    time.sleep(6)
    assert len(service.web.group(run_id)) <= 1


def test_a_finished_run_cannot_be_cancelled(service: Service) -> None:
    run_id = service.web.launch_slow()
    service.web.wait(run_id, 10)
    assert service.web.cancel(run_id) == "TerminateRunFailure"
    assert service.web.status(run_id) == "SUCCESS"


@pytest.mark.parametrize(
    ("fault", "word"),
    [("request", "BadRequestError"), ("memory", "OutOfMemoryError"), ("bug", "This is a bug")],
)
def test_a_permanent_failure_is_tried_once_and_has_its_own_word(service: Service, fault: str, word: str) -> None:
    run_id = service.web.launch_slow(fault=fault)
    assert service.web.wait(run_id, 10) == "FAILURE"
    assert word in service.web.words(run_id)
    assert service.web.tags(run_id)["dagster/will_retry"] == "false"
    assert len(witness(service.home, run_id)) == 1


def test_at_the_soft_limit_a_run_stops_cleanly_and_is_not_retried(service: Service) -> None:
    run_id = service.web.launch_slow(seconds=60)
    assert service.web.wait(run_id, SOFT_LIMIT_S + 6) == "FAILURE"
    assert f"TimeLimitError: the run took longer than the soft limit of {SOFT_LIMIT_S} s" in service.web.words(run_id)
    assert service.web.tags(run_id)["dagster/will_retry"] == "false"
    assert len(witness(service.home, run_id)) == 1


def test_at_the_hard_limit_a_deaf_run_is_killed_and_not_retried(service: Service) -> None:
    run_id = service.web.launch_slow(seconds=60, deaf=True)
    assert service.web.wait(run_id, HARD_LIMIT_S + 15) == "FAILURE"
    assert f"TimeLimitError: it ran longer than the hard limit of {HARD_LIMIT_S} s" in service.web.words(run_id)
    assert service.web.tags(run_id)["dagster/will_retry"] == "false"
    assert len(witness(service.home, run_id)) == 1
    assert service.web.wait(service.web.launch_slow(), 10) == "SUCCESS"


def test_the_run_of_a_killed_child_is_tried_again_within_15_s(service: Service) -> None:
    run_id = service.web.launch_slow(seconds=3)
    service.begun(run_id)
    os.kill(service.child_of(run_id).pid, signal.SIGKILL)
    killed = time.monotonic()
    until(lambda: len(service.web.group(run_id)) == 2, 15, "a retry")
    retry = service.web.group(run_id)[1]["runId"]
    until(lambda: bool(witness(service.home, retry)), 15, "the retry to begin")
    assert time.monotonic() - killed < 15
    assert service.web.wait(retry, 15) == "SUCCESS"
    assert service.web.status(run_id) == "FAILURE"
    assert "WorkerLostError: no sign of life" in service.web.words(run_id)
    assert service.web.tags(retry)["dagster/retry_number"] == "1"


def test_a_run_that_kills_its_worker_three_times_fails_with_that_reason(service: Service) -> None:
    run_id = service.web.launch_slow(fault="kill")
    until(lambda: len(service.web.group(run_id)) == 3, 45, "three attempts")
    group = service.web.group(run_id)
    last = group[-1]["runId"]
    assert service.web.wait(last, 20) == "FAILURE"
    assert "it lost its worker 3 times and is not tried again" in service.web.words(last)
    assert [tag_of(run, "dagster/retry_number") for run in group] == [None, "1", "2"]
    time.sleep(6)
    assert len(service.web.group(run_id)) == 3
    assert service.web.tags(last)["dagster/will_retry"] == "false"


def test_a_child_woken_after_its_run_was_given_away_writes_nothing(service: Service) -> None:
    run_id = service.web.launch_slow(seconds=4)
    service.begun(run_id)
    pid = service.child_of(run_id).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert service.web.wait(run_id, 15) == "FAILURE"
        until(lambda: len(service.web.group(run_id)) == 2, 15, "a retry")
        assert service.web.wait(service.web.group(run_id)[1]["runId"], 20) == "SUCCESS"
        before = service.web.events(run_id), witness(service.home, run_id)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: not Path(f"/proc/{pid}").exists() or is_zombie(pid), 10, "the woken child to end")
    assert (service.web.events(run_id), witness(service.home, run_id)) == before
    assert service.web.status(run_id) == "FAILURE"


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
