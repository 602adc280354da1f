from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backtest_pipelines.errors import BadDataError, BadRequestError, BugError, UnavailableError
from backtest_pipelines.records import sqlite as sqlite_module
from backtest_pipelines.records.claims import Claims
from backtest_pipelines.records.database import Database, DuplicateError
from backtest_pipelines.records.executions import ExecutionRecords
from backtest_pipelines.records.schema import VERSION
from backtest_pipelines_tests.postgres import PostgresServer
from backtest_pipelines_tests.records.racing import PROCESSES, THREADS, race
from backtest_pipelines_tests.records.test_executions import MISS

VERSION_1 = """
CREATE TABLE executions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    variant TEXT NOT NULL,
    parameters TEXT NOT NULL CHECK (json_valid(parameters)),
    symbol TEXT NOT NULL,
    door TEXT NOT NULL CHECK (door IN ('cli', 'dagster', 'python', 'rest')),
    started_at TEXT NOT NULL,
    duration_ms REAL NOT NULL CHECK (duration_ms >= 0),
    outcome TEXT NOT NULL CHECK (outcome IN ('completed', 'failed')),
    cached INTEGER NOT NULL CHECK (cached = (tier IS NOT NULL)),
    tier TEXT CHECK (tier IN ('redis', 'file')),
    row_count INTEGER CHECK (row_count >= 0),
    error_type TEXT CHECK ((error_type IS NOT NULL) = (outcome = 'failed')),
    error_message TEXT,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    run_id TEXT,
    request_id TEXT UNIQUE,
    fingerprint TEXT
) STRICT;
CREATE UNIQUE INDEX executions_by_run ON executions (run_id, symbol, variant, attempt)
    WHERE run_id IS NOT NULL;
CREATE INDEX executions_by_start ON executions (started_at);
CREATE INDEX executions_by_variant ON executions (variant, started_at);
INSERT INTO executions VALUES (7, 'covered_call', '{}', 'NIFTY', 'cli', '2024-01-04T09:15:00.000000+00:00', 12.5,
    'completed', 0, NULL, 3, NULL, NULL, 1, NULL, NULL, NULL);
PRAGMA user_version = 1;
"""

ADD = "INSERT INTO workers (owner, host, pid, beat_s, started_s) VALUES (?, 'host', 1, {now}, {now})"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "executions.sqlite"


@pytest.fixture
def sqlite_database(path: Path) -> Iterator[Database]:
    with Database(path) as database:
        yield database


def write_version_1(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)


def insert_twice(database: Database, number: int, racer: int) -> list[int]:
    del number, racer
    return [ExecutionRecords(database).insert(MISS) for _ in range(2)]


def names(database: Database) -> list[object]:
    with database.connection() as connection:
        return [name for (name,) in connection.execute("SELECT owner FROM workers ORDER BY owner").all()]


def add_in_one(database: Database, *owners: str | None) -> None:
    with database.transaction() as connection:
        for owner in owners:
            connection.execute(ADD, owner)


def test_what_a_transaction_did_counts_as_a_whole_or_not_at_all(database: Database) -> None:
    add_in_one(database, "a", "b")
    with pytest.raises(DuplicateError):
        add_in_one(database, "c", "a")
    with pytest.raises(BugError):
        add_in_one(database, "d", None)
    assert names(database) == ["a", "b"]


def test_on_a_lent_connection_each_statement_stands_alone(database: Database) -> None:
    with database.connection() as connection:
        connection.execute(ADD, "a")
        with pytest.raises(DuplicateError):
            connection.execute(ADD, "a")
        connection.execute(ADD, "b")
    assert names(database) == ["a", "b"]


def test_a_statement_tells_what_it_returned_or_how_many_rows_it_changed(database: Database) -> None:
    with database.connection() as connection:
        for owner in ("a", "b"):
            assert connection.execute(ADD, owner).count == 1
        found = connection.execute("SELECT owner FROM workers ORDER BY owner")
        assert (found.all(), found.one(), found.count) == ([("a",), ("b",)], ("a",), 2)
        assert connection.execute("UPDATE workers SET pid = 2").count == 2
        assert connection.execute("UPDATE workers SET pid = 3 WHERE owner = 'a' RETURNING owner, pid").all() == [
            ("a", 3)
        ]
        nothing = connection.execute("DELETE FROM workers WHERE owner = 'c'")
        assert (nothing.all(), nothing.one(), nothing.count) == ([], None, 0)


def test_a_row_that_contradicts_itself_is_a_bug_and_the_connection_serves_on(database: Database) -> None:
    with database.connection() as connection:
        with pytest.raises(BugError, match="contradicts itself"):
            connection.execute("UPDATE admission SET id = 2")
        with pytest.raises(BugError, match="cannot hold"):
            connection.execute(ADD, {})
        assert connection.execute(ADD, "a").count == 1


def test_a_closed_database_opens_again_when_it_is_used(database: Database) -> None:
    for number in range(3):
        with database.connection() as connection:
            connection.execute(ADD, str(number))
        database.close()
        database.close()
    assert names(database) == ["0", "1", "2"]


def test_many_threads_share_a_database(database: Database) -> None:
    barrier = threading.Barrier(16)

    def add(thread: int) -> None:
        barrier.wait(30)
        for number in range(10):
            with database.connection() as connection:
                connection.execute(ADD, f"{thread}-{number}")

    threads = [threading.Thread(target=add, args=(thread,)) for thread in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(database)) == 160


def test_several_processes_create_a_database_at_once_and_lose_no_row(
    request: pytest.FixtureRequest, tmp_path: Path, location: Path | str
) -> None:
    locations: list[Path | str] = [location]
    for number in range(9):
        if isinstance(location, Path):
            locations.append(tmp_path / str(number) / "executions.sqlite")
        else:
            locations.append(request.getfixturevalue("postgres_server").new_database())
    race(locations, insert_twice)
    for created in locations:
        with Database(created) as database:
            assert len(ExecutionRecords(database).recent(1000)) == 2 * PROCESSES * THREADS


def test_it_works_on_in_a_forked_child_and_leaves_nothing_open(location: Path | str) -> None:
    script = """
import os, sys, threading
from pathlib import Path
from backtest_pipelines.records.database import Database
from backtest_pipelines_tests.records.test_executions import MISS, ExecutionRecords

location = sys.argv[1] if "://" in sys.argv[1] else Path(sys.argv[1])
database = Database(location)
records = ExecutionRecords(database)
records.insert(MISS)
lent, forked = threading.Event(), threading.Event()

def hold():
    with database.connection() as connection:
        lent.set()
        forked.wait(30)

thread = threading.Thread(target=hold)
thread.start()
lent.wait(30)
child = os.fork()
if not child:
    records.insert(MISS)
    database.close()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
forked.set()
thread.join()
records.insert(MISS)
assert len(records.recent(9)) == 3
database.close()
"""
    command = [sys.executable, "-X", "dev", "-c", script, str(location)]
    done = subprocess.run(command, check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "ResourceWarning" not in done.stderr


def test_a_file_of_the_first_release_keeps_its_rows_and_gets_the_new_tables(path: Path) -> None:
    write_version_1(path)
    with Database(path) as database:
        (kept,) = ExecutionRecords(database).recent(9)
        assert (kept.id, kept.variant, kept.row_count) == (7, "covered_call", 3)
        assert ExecutionRecords(database).insert(MISS) == 8
        assert Claims(database).withhold("r")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)


def test_several_processes_bring_a_file_of_the_first_release_up_to_date_at_once(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) / "executions.sqlite" for number in range(5)]
    for path in paths:
        write_version_1(path)
    race(paths, insert_twice)
    for path in paths:
        with Database(path) as database:
            assert len(ExecutionRecords(database).recent(1000)) == 1 + 2 * PROCESSES * THREADS


def test_a_database_of_a_later_release_is_refused(location: Path | str) -> None:
    later = VERSION + 1
    with Database(location) as database, database.connection() as connection:
        if database.is_postgres:
            connection.execute("UPDATE version SET version = ?", later)
        else:
            connection.execute(f"PRAGMA user_version = {later}")
    with (
        Database(location) as database,
        pytest.raises(BadDataError, match=f"schema version is {later}, this release knows up to {VERSION}"),
    ):
        names(database)


def test_the_folder_is_private_and_the_file_in_write_ahead_mode(sqlite_database: Database, path: Path) -> None:
    names(sqlite_database)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_locked_file_is_unavailable_and_serves_again_afterwards(
    sqlite_database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "BUSY_TIMEOUT_S", 0.05)
    assert names(sqlite_database) == []
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with sqlite_database.connection() as connection, pytest.raises(UnavailableError, match="locked"):
            connection.execute(ADD, "a")
        with pytest.raises(UnavailableError, match="locked"), sqlite_database.transaction():
            pass
        assert names(sqlite_database) == []  # readers do not wait
    with sqlite_database.connection() as connection:
        assert connection.execute(ADD, "a").count == 1


def test_a_folder_that_cannot_be_made_is_unavailable(sqlite_database: Database, path: Path) -> None:
    path.parent.write_text("a file where the folder should be")
    with pytest.raises(UnavailableError, match="does not answer"):
        names(sqlite_database)


def test_a_file_that_is_no_database_is_bad_data_and_is_left_alone(sqlite_database: Database, path: Path) -> None:
    path.parent.mkdir()
    path.write_text("this is not a database, but it is somebody's file\n" * 100)
    before = path.read_bytes()
    with pytest.raises(BadDataError, match="not a usable SQLite file"):
        names(sqlite_database)
    assert path.read_bytes() == before


@pytest.mark.parametrize("address", ["mysql://u:secret@host/db", "executions.sqlite", "postgresql:u:secret@host/db"])
def test_an_address_that_is_not_of_postgres_is_refused_without_its_password(address: str) -> None:
    with pytest.raises(BadRequestError, match="allowed: postgresql://USER") as caught:
        Database(address)
    assert "secret" not in str(caught.value)


def test_an_address_of_postgres_may_name_the_driver(postgres_server: PostgresServer) -> None:
    for scheme in ("postgresql", "postgres", "postgresql+psycopg2"):
        with Database(f"{scheme}://{postgres_server.new_database().partition('://')[2]}") as database:
            assert names(database) == []
