"""The records in an SQLite file: one connection that threads take in turns.

In write-ahead mode readers never wait for the writer, and writers of several processes take turns.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final
from weakref import WeakSet

from backtest_pipelines.errors import BacktestError, BadDataError, BugError, UnavailableError
from backtest_pipelines.records.connection import DuplicateError, Result, Row
from backtest_pipelines.records.schema import SQLITE, VERSION, statements_from

BUSY_TIMEOUT_S: Final = 5.0
_TAKEN: Final = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


class SqliteConnection:
    """A connection that gives SQLite's errors the names of this package."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self.raw = connection

    def execute(self, statement: str, *parameters: object) -> Result:
        """See `backtest_pipelines.records.connection.Connection`."""
        cursor, rows = self._run(statement, parameters)
        return Result(rows, cursor.rowcount if cursor.description is None else len(rows))

    def insert(self, statement: str, *parameters: object) -> int | None:
        """See `backtest_pipelines.records.connection.Connection`."""
        cursor, _ = self._run(statement, parameters)
        return cursor.lastrowid if cursor.rowcount == 1 else None

    def next_id(self, table: str) -> int:
        """See `backtest_pipelines.records.connection.Connection`."""
        statement = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = ? RETURNING seq"
        ((number,),) = self.execute(statement, table).all()
        return int(str(number))

    def _run(self, statement: str, parameters: Row) -> tuple[sqlite3.Cursor, list[Row]]:
        try:
            cursor = self.raw.execute(_dialect(statement), parameters)
            return cursor, cursor.fetchall()
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode in _TAKEN:
                raise DuplicateError(str(error)) from error
            raise BugError(f"a row that contradicts itself: {error}; got {parameters}") from error
        except (sqlite3.ProgrammingError, OverflowError, UnicodeEncodeError) as error:
            raise BugError(f"a value that the database cannot hold: {error}; got {parameters!a}") from error
        except sqlite3.Error as error:
            raise _named(error, self._path) from error


class SqliteDatabase:
    """See `backtest_pipelines.records.connection.Backend`.

    Parameters
    ----------
    path : Path
        The file. Its folder is created with mode 0700.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: SqliteConnection | None = None
        self._inherited: list[SqliteConnection] = []
        _OPENED.add(self)

    @contextmanager
    def connection(self) -> Iterator[SqliteConnection]:
        """Lend the connection to one thread at a time."""
        with self._lock:
            if self._connection is None:
                try:
                    self._connection = SqliteConnection(self.path, _connect(self.path))
                except (sqlite3.Error, OSError) as error:
                    raise _named(error, self.path) from error
            yield self._connection

    @contextmanager
    def transaction(self) -> Iterator[SqliteConnection]:
        """Lend the connection, with the file locked against other writers."""
        with self.connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.raw.in_transaction:
                    connection.raw.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the file. A later use opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.raw.close()
                self._connection = None

    def forget_parent(self) -> None:
        """Let go, in a forked child, of what belongs to the parent."""
        self._lock = threading.Lock()
        if self._connection is not None:
            # SQLite forbids even closing a connection that was opened before a fork.
            self._inherited.append(self._connection)
            self._connection = None


_OPENED: WeakSet[SqliteDatabase] = WeakSet()


def _after_fork() -> None:
    for database in _OPENED:
        database.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@lru_cache(maxsize=256)
def _dialect(statement: str) -> str:
    return statement.replace("{now}", "now_s()").replace("{share}", "").replace("{id_given}", "")


def _named(error: sqlite3.Error | OSError, path: Path) -> BacktestError:
    """Return SQLite's error under its name in this package."""
    if isinstance(error, sqlite3.OperationalError | OSError):
        return UnavailableError(
            f"the database {path} does not answer: {error}; check the file's permissions, free space and who holds it"
        )
    return BadDataError(str(path), f"not a usable SQLite file: {error}; move it away")


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        connection.create_function("now_s", 0, time.time)
        _set_write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        if _missing(connection, path):
            _migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_write_ahead(connection: sqlite3.Connection) -> None:
    """Turn on write-ahead mode; the busy time-out does not cover this change while others make it too."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _missing(connection: sqlite3.Connection, path: Path) -> list[str]:
    """Return the statements that the file lacks."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    return statements_from(version, SQLITE, str(path))


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file to this release's schema, unless another process was faster."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _missing(connection, path):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
