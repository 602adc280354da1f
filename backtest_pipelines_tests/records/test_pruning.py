"""Pruning the records of executions, on both databases, while others write."""

from __future__ import annotations

import sqlite3
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backtest_pipelines.records import pruning
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import Execution, ExecutionRecords
from backtest_pipelines.records.jobs import JobRecords
from backtest_pipelines.records.pruning import known_jobs, prune_executions
from backtest_pipelines.retention.limits import DAY_S, IN_USE_S

PARAMETERS = '{"call_sell_position":1.0,"spot_adjustment":0.5,"spot_adjustment_type":3}'
NOW = datetime.now(UTC)
EXECUTION = Execution("covered_call", PARAMETERS, "NIFTY", "rest", NOW, 12.5, "completed", row_count=3)
MANY = 10**8


def add(database: Database, count: int, days: float = 0.0, **more: object) -> None:
    """Add executions a minute apart, the last one so many days old."""
    records = ExecutionRecords(database)
    last = NOW - timedelta(days=days)
    for number in range(count):
        started_at = last - timedelta(minutes=count - 1 - number)
        records.insert(replace(EXECUTION, started_at=started_at, fingerprint="ab" * 32, **more))  # type: ignore[arg-type]


def ids(database: Database) -> list[int]:
    with database.connection() as connection:
        return [int(str(row[0])) for row in connection.execute("SELECT id FROM executions ORDER BY id").all()]


def totals(database: Database) -> list[tuple[object, ...]]:
    with database.connection() as connection:
        return connection.execute("SELECT * FROM durations ORDER BY 1, 2, 3, 4, 5").all()


def test_old_records_go_a_dry_run_foretells_it_and_the_totals_stay(database: Database) -> None:
    add(database, 300, days=40)
    add(database, 50, days=2)
    with database.connection() as connection:
        connection.execute("INSERT INTO durations VALUES ('another', 'rest', 'failed', 'none', 3, 350, 1, 1, 1, 'x')")
    before = totals(database)
    planned = prune_executions(database, older_than_s=30 * DAY_S, most=MANY, dry_run=True)
    assert len(ids(database)) == 350
    done = prune_executions(database, older_than_s=30 * DAY_S, most=MANY)
    assert done == planned
    assert (done.kind, done.count, done.kept) == ("executions", 300, 50)
    assert done.bytes > 300 * len(PARAMETERS)
    assert done.oldest_kept == NOW - timedelta(days=2, minutes=49)
    assert ids(database) == list(range(301, 351))
    assert totals(database) == before
    assert prune_executions(database, older_than_s=30 * DAY_S, most=MANY).count == 0


def test_the_oldest_beyond_a_number_go(database: Database) -> None:
    add(database, 300, days=2)
    assert prune_executions(database, older_than_s=30 * DAY_S, most=300).count == 0
    assert prune_executions(database, older_than_s=30 * DAY_S, most=120).count == 180
    assert ids(database) == list(range(181, 301))


def test_what_started_in_the_last_hour_is_kept(database: Database) -> None:
    since_days = (datetime.now(UTC) - NOW) / timedelta(days=1)
    add(database, 100, days=-since_days)
    done = prune_executions(database, older_than_s=1, most=1)
    assert done.count == 100 - IN_USE_S / 60
    assert ids(database) == list(range(41, 101))


def test_the_executions_of_known_jobs_are_kept(database: Database) -> None:
    jobs = JobRecords(database)
    for name in ("open", "ended"):
        job, _ = jobs.add(request_id=name, body_digest="d", variant="v", symbol="NIFTY", request="{}")
        assert jobs.attach(job.job_id, f"run of {name}", None)
        add(database, 1, days=40, run_id=f"run of {name}")
    jobs.end(job.job_id, "completed")
    add(database, 5, days=40, run_id=None)
    add(database, 1, days=40, run_id="run of nobody")
    assert known_jobs(database).run_ids == {"run of open", "run of ended"}
    done = prune_executions(database, older_than_s=30 * DAY_S, most=1)
    assert (done.count, done.kept, ids(database)) == (6, 2, [2, 4])  # ids 1 and 3 are set aside for the jobs
    assert done.oldest_kept == NOW - timedelta(days=40)


def test_an_empty_table_is_no_error(database: Database) -> None:
    done = prune_executions(database, older_than_s=1, most=1)
    assert (done.count, done.bytes, done.kept, done.oldest_kept) == (0, 0, 0, None)


def test_who_writes_meanwhile_loses_nothing(location: Path | str) -> None:
    with Database(location) as database, Database(location) as others:
        add(database, 600, days=40)
        written: list[int] = []
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                written.append(ExecutionRecords(others).insert(replace(EXECUTION, started_at=datetime.now(UTC))))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            done = prune_executions(database, older_than_s=30 * DAY_S, most=MANY)
        finally:
            stop.set()
            writer.join()
        assert done.count == 600
        assert written
        assert ids(database) == written


def test_rows_go_in_batches_that_leave_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "LARGEST_BATCH_ROWS", 50)
    monkeypatch.setattr(pruning, "_FIRST_BATCH_ROWS", 10)
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with Database(tmp_path / "executions.sqlite") as database:
        add(database, 200, days=40)
        assert prune_executions(database, older_than_s=30 * DAY_S, most=MANY).count == 200
    assert len(pauses) >= 4


def test_an_sqlite_file_shrinks(tmp_path: Path) -> None:
    path = tmp_path / "executions.sqlite"
    with Database(path) as database:
        add(database, 1500, days=40)
        add(database, 10, days=1)
    size = path.stat().st_size
    with Database(path) as database:
        prune_executions(database, older_than_s=30 * DAY_S, most=MANY)
    assert path.stat().st_size < size / 2
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    connection.close()


def test_the_file_of_an_earlier_release_uses_its_freed_pages_again(tmp_path: Path) -> None:
    path = tmp_path / "executions.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    with Database(path) as database:
        add(database, 600, days=40)
        size = _used(path)
        assert prune_executions(database, older_than_s=30 * DAY_S, most=MANY).count == 600
        add(database, 500, days=1)
    assert _used(path) <= size


def _used(path: Path) -> int:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.stat().st_size
