"""Runs on warm workers, with real processes: cancelled, killed, and woken from the dead."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backtest_pipelines_tests.service.dagster import tag_of, until, witness
from backtest_pipelines_tests.service.running import Service, running_service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("home")) as running:
        yield running


def test_a_run_starts_on_a_warm_worker(service: Service) -> None:
    run_id = service.web.launch_slow()
    assert service.web.wait(run_id, 10) == "SUCCESS"
    assert "Claimed by " in service.web.words(run_id)
    assert [line.split()[0] for line in witness(service.home, run_id)] == ["begin", "end"]


def test_a_waiting_run_is_cancelled_at_once_and_never_starts(service: Service) -> None:
    busy = [service.web.launch_slow(seconds=8) for _ in range(2)]
    for run_id in busy:
        service.begun(run_id)
    waiting = service.web.launch_slow()
    start = time.monotonic()
    assert service.web.cancel(waiting) == "TerminateRunSuccess"
    assert service.web.status(waiting) == "CANCELED"
    assert time.monotonic() - start < 1
    assert [service.web.wait(run_id, 25) for run_id in busy] == ["SUCCESS", "SUCCESS"]
    time.sleep(2)
    assert service.web.status(waiting) == "CANCELED"
    assert witness(service.home, waiting) == []


def test_a_run_under_way_is_cancelled_and_not_retried(service: Service) -> None:
    run_id = service.web.launch_slow(seconds=20)
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


def test_the_run_of_a_killed_child_is_tried_again_within_15_s(service: Service) -> None:
    run_id = service.web.launch_slow(seconds=5)
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
    run_id = service.web.launch_slow(seconds=7)
    service.begun(run_id)
    pid = service.child_of(run_id).pid
    os.kill(pid, signal.SIGSTOP)
    try:
        assert service.web.wait(run_id, 15) == "FAILURE"
        before = written(service, run_id)
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: not Path(f"/proc/{pid}").exists() or is_zombie(pid), 10, "the woken child to end")
    until(lambda: len(service.web.group(run_id)) == 2, 15, "a retry")
    assert service.web.wait(service.web.group(run_id)[1]["runId"], 20) == "SUCCESS"
    assert written(service, run_id) == before
    assert service.web.status(run_id) == "FAILURE"


def written(service: Service, run_id: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return what a run and its step wrote, without what the daemon adds when it tries the run again."""
    events = [event for event in service.web.events(run_id) if event["message"] not in ("Retrying the run", None)]
    return events, witness(service.home, run_id)


def is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True
