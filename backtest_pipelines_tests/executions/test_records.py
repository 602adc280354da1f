from __future__ import annotations

import multiprocessing
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from backtest_pipelines.errors import BadDataError, BadRequestError, BugError, UnavailableError
from backtest_pipelines.executions import records as records_module
from backtest_pipelines.executions.records import AlreadyRecordedError, Execution, ExecutionRecords

START = datetime(2024, 1, 4, 9, 15, tzinfo=UTC)
MISS = Execution(
    "covered_call", '{"n":1}', "NIFTY", "cli", START, 12.5, "completed", row_count=3, fingerprint="ab" * 32
)
HIT = replace(MISS, cached=True, tier="redis")
FAILURE = replace(MISS, outcome="failed", error_type="BadRequestError", error_message="n: got 9", row_count=None)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[ExecutionRecords]:
    with ExecutionRecords(tmp_path / "home" / "executions.sqlite") as records:
        yield records


def create_and_insert(paths: list[Path], barrier: Barrier, count: int) -> None:
    for path in paths:
        barrier.wait()
        with ExecutionRecords(path) as records:
            for _ in range(count):
                records.insert(MISS)


@pytest.mark.parametrize("execution", [MISS, HIT, FAILURE, replace(MISS, run_id="r", request_id="q", attempt=2)])
def test_an_execution_comes_back_as_it_was_recorded(records: ExecutionRecords, execution: Execution) -> None:
    number = records.insert(execution)
    assert records.get(number) == replace(execution, id=number)
    assert records.get(number + 1) is None


def test_a_start_in_any_zone_is_kept_in_utc(records: ExecutionRecords) -> None:
    india = START.astimezone(timezone(timedelta(hours=5, minutes=30)))
    number = records.insert(replace(MISS, started_at=india))
    with sqlite3.connect(records.path) as connection:
        assert connection.execute("SELECT started_at FROM executions").fetchall() == [
            ("2024-01-04T09:15:00.000000+00:00",)
        ]
    connection.close()
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
    with pytest.raises(BugError, match=r"an execution|a field"):
        records.insert(contradiction)
    assert records.recent(9) == []


def test_several_processes_create_the_file_at_once_and_lose_no_row(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(3)
    paths = [tmp_path / str(number) / "executions.sqlite" for number in range(10)]
    processes = [context.Process(target=create_and_insert, args=(paths, barrier, 25)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    for path in paths:
        with ExecutionRecords(path) as records:
            assert [execution.id for execution in records.recent(1000)] == list(range(75, 0, -1))


def test_many_threads_create_the_file_at_once_and_lose_no_row(tmp_path: Path) -> None:
    path = tmp_path / "executions.sqlite"
    shared = ExecutionRecords(path)
    barrier = threading.Barrier(8)
    errors: list[BaseException] = []

    def insert(own: ExecutionRecords) -> None:
        barrier.wait()
        try:
            for _ in range(20):
                own.insert(MISS)
                shared.insert(MISS)
        except BaseException as error:
            errors.append(error)
            raise
        finally:
            own.close()

    threads = [threading.Thread(target=insert, args=(ExecutionRecords(path),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(shared.recent(1000)) == 320
    shared.close()


def test_the_folder_is_private_and_the_file_in_write_ahead_mode(records: ExecutionRecords) -> None:
    records.insert(MISS)
    assert records.path.parent.stat().st_mode & 0o777 == 0o700
    connection = sqlite3.connect(records.path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()


def test_a_locked_file_is_unavailable_and_serves_again_afterwards(
    records: ExecutionRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records_module, "BUSY_TIMEOUT_S", 0.05)
    records.insert(MISS)
    holder = sqlite3.connect(records.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="locked"):
        records.insert(MISS)
    assert len(records.recent(9)) == 1  # readers do not wait
    holder.execute("ROLLBACK")
    holder.close()
    assert records.insert(MISS) == 2


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file where the folder should be")
    path = tmp_path / "home" / "executions.sqlite"
    with ExecutionRecords(path) as records, pytest.raises(UnavailableError, match="does not answer"):
        records.insert(MISS)


def test_a_file_that_is_no_database_is_bad_data_and_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "executions.sqlite"
    path.write_text("this is not a database, but it is somebody's file\n" * 100)
    before = path.read_bytes()
    with ExecutionRecords(path) as records, pytest.raises(BadDataError, match="not a usable SQLite file"):
        records.insert(MISS)
    assert path.read_bytes() == before


def test_a_file_of_a_later_release_is_refused(records: ExecutionRecords) -> None:
    records.insert(MISS)
    records.close()
    connection = sqlite3.connect(records.path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(BadDataError, match="schema version is 2"):
        records.insert(MISS)


def test_it_works_on_in_a_forked_child_and_leaves_nothing_open(tmp_path: Path) -> None:
    script = """
import os, sys
from pathlib import Path
from backtest_pipelines_tests.executions.test_records import MISS, ExecutionRecords
records = ExecutionRecords(Path(sys.argv[1]))
records.insert(MISS)
child = os.fork()
if not child:
    records.insert(MISS)
    records.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
records.insert(MISS)
assert len(records.recent(9)) == 3
records.close()
"""
    command = [sys.executable, "-X", "dev", "-c", script, str(tmp_path / "executions.sqlite")]
    done = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True)
    assert "ResourceWarning" not in done.stderr
