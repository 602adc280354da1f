"""What a worker's child writes while Postgres is away, or its run is not its own any more, with a real Postgres."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Timer

import dagster as dg
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info
from sqlalchemy.exc import OperationalError

from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.records import postgres as postgres_module
from backtest_pipelines.records.claims import Admission, Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines.service import fence as fence_module
from backtest_pipelines.service.dagster_private import (
    JobFailureData,
    RunFailureReason,
    StepFailureData,
    replace_lost_connections,
)
from backtest_pipelines.service.fence import FRESH_S, Execution, Fence
from backtest_pipelines_tests.postgres import PostgresServer

CONNECT_S = 0.3
OWNER = "host:1:1"

Fail = Callable[[dg.DagsterInstance, PostgresServer], None]


class Ended(BaseException):
    """In place of the end of the process."""


def end(status: int) -> None:
    raise Ended(status)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as running:
        yield running


@pytest.fixture
def opened(server: PostgresServer, tmp_path: Path) -> Iterator[tuple[dg.DagsterInstance, Database]]:
    """Dagster's tables and ours in one database, with connections kept open as a child keeps them."""
    url = server.new_database()
    with ExitStack() as stack:
        dagster_url = settings_from({"BACKTEST_POSTGRES_URL": url}).postgres_url
        config = {
            "storage": {"postgres": {"postgres_url": dagster_url}},
            "run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False},
        }
        instance = stack.enter_context(dg.DagsterInstance.local_temp(str(tmp_path), overrides=config))
        instance.optimize_for_webserver(statement_timeout=30_000, pool_recycle=300, max_overflow=4)
        replace_lost_connections(instance)
        yield instance, stack.enter_context(Database(url))


def begun(instance: dg.DagsterInstance, database: Database) -> str:
    """Return a run that this process has under way, and whose claim it has not looked at for long."""
    run = instance.create_run_for_job(job_of_nothing)
    assert Admission(database).enter(OWNER)
    assert Claims(database).take(run.run_id, OWNER)
    seen_s = time.monotonic() - FRESH_S - 1
    Fence(instance, Claims(database), OWNER).under_way = Execution(run.run_id, seen_s, seen_s)
    return run.run_id


@dg.job
def job_of_nothing() -> None:
    pass


def started(run_id: str) -> dg.DagsterEvent:
    return dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_of_nothing.name, message=run_id)


def test_an_event_waits_for_a_postgres_that_stands_still_longer_than_a_claim_can_be_looked_at(
    opened: tuple[dg.DagsterInstance, Database], server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, database = opened
    run_id = begun(instance, database)
    database.close()  # a look at the claim needs a new connection, as the beat has the other one
    monkeypatch.setattr(postgres_module, "CONNECT_TIMEOUT_S", CONNECT_S)
    server.pause()
    back = Timer(4 * CONNECT_S, server.resume)
    back.start()
    instance.report_dagster_event(started(run_id), run_id)
    back.join()
    assert [record.message for record in instance.all_logs(run_id)] == [run_id]
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.STARTED


def test_where_postgres_stays_away_the_process_ends_rather_than_fail_the_step(
    opened: tuple[dg.DagsterInstance, Database], server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, database = opened
    run_id = begun(instance, database)
    monkeypatch.setattr(fence_module, "DATABASE_BACK_S", 0.5)
    monkeypatch.setattr(os, "_exit", end)
    server.stop()
    try:
        with pytest.raises(Ended, match=str(fence_module.FENCED_STATUS)):
            instance.report_dagster_event(started(run_id), run_id)
    finally:
        server.start()
    assert instance.all_logs(run_id) == []


def test_a_process_that_stood_still_between_an_event_and_its_status_does_not_write_the_status(
    opened: tuple[dg.DagsterInstance, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    instance, database = opened
    run_id = begun(instance, database)
    store = instance.event_log_storage.store_event

    def store_and_stand_still(entry: dg.EventLogEntry) -> None:
        store(entry)
        monkeypatch.setattr(fence_module, "FRESH_S", 0.0)
        with database.connection() as connection:
            connection.execute("UPDATE claims SET owner = 'another'")

    monkeypatch.setattr(instance.event_log_storage, "store_event", store_and_stand_still)
    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(Ended, match=str(fence_module.FENCED_STATUS)):
        instance.report_dagster_event(started(run_id), run_id)
    assert [record.message for record in instance.all_logs(run_id)] == [run_id]
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.NOT_STARTED


def test_dagster_reads_on_after_a_restart_of_postgres(
    opened: tuple[dg.DagsterInstance, Database], server: PostgresServer
) -> None:
    instance, database = opened
    run_id = begun(instance, database)
    assert instance.get_run_by_id(run_id) is not None
    server.restart()
    assert instance.get_run_by_id(run_id) is not None
    assert instance.all_logs(run_id) == []
    assert instance.all_instigator_state() == []


def lose_a_connection(instance: dg.DagsterInstance, server: PostgresServer) -> None:
    with instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        server.restart()
        connection.exec_driver_sql("SELECT 1")


def divide_by_zero(_instance: dg.DagsterInstance, _server: PostgresServer) -> None:
    raise ZeroDivisionError


@pytest.mark.parametrize(("fail", "is_tried_again"), [(lose_a_connection, "true"), (divide_by_zero, "false")])
def test_a_run_is_tried_again_where_its_step_failed_as_the_storage_was_away(
    opened: tuple[dg.DagsterInstance, Database], server: PostgresServer, fail: Fail, is_tried_again: str
) -> None:
    instance, database = opened
    run_id = begun(instance, database)
    with pytest.raises((OperationalError, ZeroDivisionError)) as caught:
        fail(instance, server)
    error = serializable_error_info_from_exc_info((caught.type, caught.value, caught.tb))
    ends: dict[dg.DagsterEventType, StepFailureData | JobFailureData] = {
        dg.DagsterEventType.STEP_FAILURE: StepFailureData(error, None),  # type: ignore[no-untyped-call]
        dg.DagsterEventType.RUN_FAILURE: JobFailureData(error, RunFailureReason.STEP_FAILURE),
    }
    for kind, data in ends.items():
        event = dg.DagsterEvent(kind.value, job_of_nothing.name, step_key="step", event_specific_data=data)
        instance.report_dagster_event(event, run_id)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags["dagster/will_retry"] == is_tried_again


def test_a_run_that_failed_beside_its_steps_is_tried_again_from_the_beginning(
    opened: tuple[dg.DagsterInstance, Database],
) -> None:
    instance, database = opened
    run_id = begun(instance, database)
    data = JobFailureData(None, RunFailureReason.RUN_EXCEPTION)
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_FAILURE.value, job_of_nothing.name, event_specific_data=data)
    instance.report_dagster_event(event, run_id)
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.tags["dagster/will_retry"] == "true"
    assert run.tags["dagster/retry_strategy"] == "ALL_STEPS"
