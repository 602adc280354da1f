from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from backtest_pipelines.errors import BadRequestError, BugError, RunGivenAwayError
from backtest_pipelines.records import executions as executions_module
from backtest_pipelines.records.claims import LEASE_S, Admission, Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import AlreadyRecordedError, Execution, ExecutionRecords
from backtest_pipelines.records.jobs import JobRecords
from backtest_pipelines.records.totals import read_totals

START = datetime(2024, 1, 4, 9, 15, tzinfo=UTC)
MISS = Execution(
    "covered_call", '{"n":1}', "NIFTY", "cli", START, 12.5, "completed", row_count=3, fingerprint="ab" * 32
)
HIT = replace(MISS, cached=True, tier="redis")
FAILURE = replace(MISS, outcome="failed", error_type="BadRequestError", error_message="n: got 9", row_count=None)


@pytest.fixture
def records(database: Database) -> ExecutionRecords:
    return ExecutionRecords(database)


@pytest.fixture
def claims(database: Database) -> Claims:
    """Claims of which "a" may take any."""
    assert Admission(database).enter("a", 600)
    return Claims(database)


def give_away(database: Database, run_id: str) -> None:
    with database.connection() as connection:
        connection.execute("UPDATE claims SET beat_s = beat_s - ? WHERE run_id = ?", LEASE_S + 1, run_id)
    assert Claims(database).give_away(run_id)


@pytest.mark.parametrize("execution", [MISS, HIT, FAILURE, replace(MISS, run_id="r", request_id="q", attempt=2)])
def test_an_execution_comes_back_as_it_was_recorded(records: ExecutionRecords, execution: Execution) -> None:
    number = records.insert(execution)
    assert records.get(number) == replace(execution, id=number)
    assert records.get(number + 1) is None


def test_a_start_in_any_zone_is_kept_in_utc(records: ExecutionRecords, database: Database) -> None:
    india = START.astimezone(timezone(timedelta(hours=5, minutes=30)))
    number = records.insert(replace(MISS, started_at=india))
    with database.connection() as connection:
        assert connection.execute("SELECT started_at FROM executions").all() == [("2024-01-04T09:15:00.000000+00:00",)]
    found = records.get(number)
    assert found is not None
    assert found.started_at == START


def test_recent_gives_the_newest_first_filtered_and_limited(records: ExecutionRecords) -> None:
    for minute in (3, 1, 2):
        started_at = START + timedelta(minutes=minute)
        records.insert(replace(MISS, started_at=started_at))
        records.insert(replace(FAILURE, started_at=started_at))
    records.insert(replace(MISS, variant="other", started_at=START + timedelta(microseconds=1)))
    assert [execution.started_at.minute for execution in records.recent(100)] == [18, 18, 17, 17, 16, 16, 15]
    assert [execution.id for execution in records.recent(3)] == [2, 1, 6]
    assert [execution.id for execution in records.recent(2, outcome="failed")] == [2, 6]
    assert [execution.id for execution in records.recent(9, variant="other")] == [7]
    assert records.recent(9, variant="other", outcome="failed") == []
    with pytest.raises(BadRequestError, match="limit: got 0"):
        records.recent(0)


def test_a_request_id_is_recorded_once(records: ExecutionRecords) -> None:
    first = records.insert(replace(MISS, request_id="q"))
    with pytest.raises(AlreadyRecordedError, match=f"request_id: got 'q'.*execution {first}") as caught:
        records.insert(replace(FAILURE, request_id="q"))
    assert caught.value.execution_id == first
    assert len(records.recent(9)) == 1


def test_an_attempt_of_a_run_is_recorded_once_for_each_variant_and_symbol(records: ExecutionRecords) -> None:
    run = replace(MISS, run_id="r")
    first = records.insert(run)
    for different in (
        replace(run, symbol="BANKNIFTY"),
        replace(run, variant="other"),
        replace(run, attempt=2),
        replace(run, run_id="s"),
        MISS,
        MISS,
    ):
        records.insert(different)
    with pytest.raises(AlreadyRecordedError, match="run_id: got 'r'") as caught:
        records.insert(replace(run, duration_ms=99.0))
    assert caught.value.execution_id == first
    assert len(records.recent(99)) == 7


@pytest.mark.parametrize(
    "contradiction",
    [
        replace(MISS, cached=True),
        replace(MISS, tier="file"),
        replace(MISS, error_type="BugError"),
        replace(FAILURE, error_type=None),
        replace(MISS, attempt=0),
        replace(MISS, duration_ms=-1.0),
        replace(MISS, parameters="{"),
        replace(MISS, door="window"),  # type: ignore[arg-type]
        replace(MISS, row_count="many"),  # type: ignore[arg-type]
        replace(MISS, error_message={}),  # type: ignore[arg-type]
        replace(MISS, row_count=2**63),
        replace(MISS, symbol="\ud800"),
        replace(MISS, started_at=START.replace(tzinfo=None)),
        replace(MISS, id=7),
    ],
)
def test_an_execution_that_contradicts_itself_is_a_bug(records: ExecutionRecords, contradiction: Execution) -> None:
    with pytest.raises(BugError, match=r"an execution|a row|a value"):
        records.insert(contradiction)
    assert records.recent(9) == []


def test_the_executions_of_a_run_are_given_the_last_one_first(records: ExecutionRecords) -> None:
    assert records.of_run("r") == []
    for attempt in (1, 2):
        records.insert(replace(MISS, run_id="r", attempt=attempt))
    records.insert(replace(MISS, run_id="s"))
    assert [found.attempt for found in records.of_run("r")] == [2, 1]


def test_the_execution_of_a_claimed_run_is_recorded(records: ExecutionRecords, claims: Claims) -> None:
    claims.take("held", "a")
    claims.take("done", "a")
    claims.release("done", "a")
    for run_id in ("held", "done", "never claimed"):
        records.insert(replace(MISS, run_id=run_id))
    assert len(records.recent(9)) == 3


def test_nothing_is_recorded_for_a_run_that_was_given_away_or_cancelled(
    records: ExecutionRecords, claims: Claims, database: Database
) -> None:
    claims.take("lost", "a")
    give_away(database, "lost")
    claims.withhold("cancelled")
    for run_id in ("lost", "cancelled"):
        with pytest.raises(RunGivenAwayError, match=f"run {run_id} was given away or cancelled"):
            records.insert(replace(MISS, run_id=run_id))
    assert records.recent(9) == []


def test_a_run_is_not_given_away_while_its_execution_is_being_recorded(postgres_url: str) -> None:
    with Database(postgres_url) as database:
        assert Admission(database).enter("a")
        assert Claims(database).take("r", "a")
        given_away: list[float] = []

        def give_it_away() -> None:
            give_away(database, "r")
            given_away.append(time.monotonic())

        with database.transaction() as connection:
            assert executions_module._inserted(connection, replace(MISS, run_id="r")) == 1
            thread = threading.Thread(target=give_it_away)
            thread.start()
            time.sleep(0.3)
            recorded = time.monotonic()
        thread.join()
        assert given_away[0] >= recorded


def test_the_record_of_executions_is_imported_without_a_driver_of_postgres() -> None:
    script = """
import sys
import backtest_pipelines.records.executions
print(sorted({"psycopg2", "sqlalchemy", "numpy"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[]\n"


def test_a_job_is_answered_once_under_the_id_set_aside_for_it(records: ExecutionRecords, database: Database) -> None:
    job, _ = JobRecords(database).add(
        request_id=None, body_digest="d", variant=MISS.variant, symbol="NIFTY", request="{}"
    )
    other = records.insert(MISS)
    assert other > job.execution_id
    answer = replace(MISS, id=job.execution_id, job_id=job.job_id, run_id="r")
    assert records.insert(answer) == job.execution_id
    assert records.insert(replace(answer, run_id="its retry")) == job.execution_id
    assert records.get(job.execution_id) == answer
    assert sum(total.executions for total in read_totals(database)) == 2
    assert records.insert(MISS) > other


def test_several_are_recorded_together_or_not_at_all(records: ExecutionRecords, database: Database) -> None:
    numbers = records.insert_all([MISS, HIT, FAILURE])
    assert [records.get(number) for number in numbers] == [
        replace(execution, id=number) for execution, number in zip([MISS, HIT, FAILURE], numbers, strict=True)
    ]
    numbers.append(records.insert(replace(MISS, request_id="q")))
    with pytest.raises(AlreadyRecordedError, match="request_id: got 'q'"):
        records.insert_all([MISS, replace(MISS, request_id="q")])
    with pytest.raises(BugError, match="recorded together"):
        records.insert_all([replace(MISS, request_id="p"), replace(MISS, request_id="p")])
    assert [execution.id for execution in records.recent(9)] == sorted(numbers, reverse=True)
    assert sum(total.executions for total in read_totals(database)) == 4
