"""Runs whose status does not say that they have ended: set back by one who stood still, or left by one who died."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.graphql.names import WILL_RETRY_TAG
from backtest_pipelines.records.claims import LEASE_S, Admission, Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines.service.admission import claim_next
from backtest_pipelines.service.dagster_private import WorkerStatus
from backtest_pipelines.service.launcher import BellLauncher
from backtest_pipelines_tests.service.test_admission import queue

OWNER = "host:1:1"


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[dg.DagsterInstance, Database]]:
    monkeypatch.setenv("BACKTEST_HOME", str(tmp_path))
    folder = tmp_path / "dagster"
    folder.mkdir()
    parts = {
        "run_coordinator": {"module": "dagster", "class": "QueuedRunCoordinator"},
        "run_launcher": {"module": BellLauncher.__module__, "class": BellLauncher.__name__},
        "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
    }
    with ExitStack() as stack:
        instance = stack.enter_context(dg.DagsterInstance.local_temp(str(folder), parts))
        yield instance, stack.enter_context(Database(settings_from(os.environ).database))


def taken(instance: dg.DagsterInstance, database: Database, status: dg.DagsterRunStatus) -> str:
    run_id = queue(instance, status=status)
    assert Admission(database).enter(OWNER)
    assert Claims(database).take(run_id, OWNER)
    Admission(database).leave(OWNER)
    return run_id


def event(kind: dg.DagsterEventType) -> dg.DagsterEvent:
    return dg.DagsterEvent(kind.value, "job", message=f"It is {kind.name}.")


def status_of(instance: dg.DagsterInstance, run_id: str) -> dg.DagsterRunStatus:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status


def report_without_its_status(instance: dg.DagsterInstance, run_id: str, kind: str) -> None:
    """Report an event as a process does that stands still, or dies, before it writes the status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(instance.run_storage, "handle_run_event", lambda *_: None)
        instance.report_dagster_event(event(dg.DagsterEventType[kind]), run_id)


def let_the_lease_pass(database: Database) -> None:
    with database.connection() as connection:
        connection.execute("UPDATE claims SET beat_s = beat_s - ?", LEASE_S + 1)


@pytest.mark.parametrize(
    "late", [dg.DagsterEventType.PIPELINE_STARTING, dg.DagsterEventType.RUN_START, dg.DagsterEventType.RUN_CANCELING]
)
def test_a_status_that_was_written_after_the_end_is_put_right(
    opened: tuple[dg.DagsterInstance, Database], late: dg.DagsterEventType
) -> None:
    instance, database = opened
    run_id = taken(instance, database, dg.DagsterRunStatus.STARTED)
    instance.report_dagster_event(event(dg.DagsterEventType.RUN_SUCCESS), run_id)
    Claims(database).release(run_id, OWNER)
    instance.report_dagster_event(event(late), run_id)
    assert status_of(instance, run_id) != dg.DagsterRunStatus.SUCCESS
    waits = queue(instance)
    claimed = claim_next(instance, Claims(database), Admission(database), "another")
    assert claimed is not None
    assert claimed.run.run_id == waits
    assert status_of(instance, run_id) == dg.DagsterRunStatus.SUCCESS


def test_a_run_that_is_executed_is_left_alone(opened: tuple[dg.DagsterInstance, Database]) -> None:
    instance, database = opened
    run_id = taken(instance, database, dg.DagsterRunStatus.STARTED)
    by_hand = queue(instance, status=dg.DagsterRunStatus.STARTED)
    assert claim_next(instance, Claims(database), Admission(database), "another") is None
    assert status_of(instance, run_id) == status_of(instance, by_hand) == dg.DagsterRunStatus.STARTED


def test_a_run_is_cancelled_whose_cancel_came_no_further_than_its_claim(
    opened: tuple[dg.DagsterInstance, Database],
) -> None:
    instance, database = opened
    run_id = queue(instance)
    assert Claims(database).withhold(run_id)
    assert claim_next(instance, Claims(database), Admission(database), OWNER) is None
    assert status_of(instance, run_id) == dg.DagsterRunStatus.QUEUED  # who withheld it may be about to say so
    let_the_lease_pass(database)
    assert claim_next(instance, Claims(database), Admission(database), OWNER) is None
    assert status_of(instance, run_id) == dg.DagsterRunStatus.CANCELED


def test_the_end_of_a_run_that_was_given_away_is_left_to_who_reports_it_just_now(
    opened: tuple[dg.DagsterInstance, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, database = opened
    run_id = taken(instance, database, dg.DagsterRunStatus.STARTED)
    let_the_lease_pass(database)
    assert Claims(database).give_away(run_id)
    report_without_its_status(instance, run_id, "RUN_FAILURE")
    assert claim_next(instance, Claims(database), Admission(database), OWNER) is None
    assert status_of(instance, run_id) == dg.DagsterRunStatus.STARTED
    later_s = time.time() + LEASE_S
    monkeypatch.setattr(time, "time", lambda: later_s)
    assert claim_next(instance, Claims(database), Admission(database), OWNER) is None
    assert status_of(instance, run_id) == dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize("end", ["RUN_SUCCESS", "RUN_FAILURE"])
def test_a_run_whose_process_died_between_its_end_and_its_status_is_not_taken_for_lost(
    opened: tuple[dg.DagsterInstance, Database], end: str
) -> None:
    instance, database = opened
    run_id = taken(instance, database, dg.DagsterRunStatus.STARTED)
    report_without_its_status(instance, run_id, end)
    let_the_lease_pass(database)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert instance.run_launcher.check_run_worker_health(run).status == WorkerStatus.SUCCESS
    ended = instance.get_run_by_id(run_id)
    assert ended is not None
    assert ended.is_finished
    assert (WILL_RETRY_TAG in ended.tags) == (end == "RUN_FAILURE")
