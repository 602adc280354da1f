"""The table of executions: one row per question asked through any door. Metrics are views of it.

SQLite in write-ahead mode: readers never wait for the writer, and writers of several processes take turns.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self

from backtest_pipelines.errors import BadDataError, BadRequestError, BugError, UnavailableError

Door = Literal["cli", "dagster", "python", "rest"]
Outcome = Literal["completed", "failed"]

BUSY_TIMEOUT_S: Final = 5.0
_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
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
"""


class AlreadyRecordedError(BadRequestError):
    """The request, or this attempt of the run for the variant and symbol, is on record already.

    Attributes
    ----------
    execution_id : int
        The row that is on record.
    """

    def __init__(self, field: str, value: object, execution_id: int) -> None:
        super().__init__(field, value, f"it is on record already, as execution {execution_id}")
        self.execution_id = execution_id


@dataclass(frozen=True)
class Execution:
    """One question asked, and what became of it.

    Attributes
    ----------
    variant, symbol : str
    parameters : str
        Canonical JSON.
    door : Door
        Where the question came in.
    started_at : datetime
        With a zone; kept in UTC, to the microsecond.
    duration_ms : float
    outcome : Outcome
    cached : bool
        Whether the answer was found and not computed.
    tier : "redis" or "file", optional
        Where it was found; None exactly when not cached.
    row_count : int, optional
        Trades of the answer.
    error_type, error_message : str, optional
        Class name and words of the error; the type is given exactly when the outcome is "failed".
    attempt : int
        From 1.
    run_id, request_id, fingerprint : str, optional
        Dagster's run; the caller's own id of the request, never used twice; the identity of the question.
    id : int, optional
        None before it is inserted.
    """

    variant: str
    parameters: str
    symbol: str
    door: Door
    started_at: datetime
    duration_ms: float
    outcome: Outcome
    cached: bool = False
    tier: Literal["redis", "file"] | None = None
    row_count: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    attempt: int = 1
    run_id: str | None = None
    request_id: str | None = None
    fingerprint: str | None = None
    id: int | None = None


_COLUMNS: Final = tuple(field.name for field in fields(Execution))
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM executions"  # noqa: S608
_INSERT: Final = f"INSERT INTO executions ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))})"  # noqa: S608


class ExecutionRecords:
    """The table of executions in an SQLite file.

    Opened at the first use, created if absent. Safe to share between threads, and across a fork.

    Parameters
    ----------
    path : Path
        The file. Its folder is created with mode 0700.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._owner_pid = 0
        self._inherited: list[sqlite3.Connection] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def insert(self, execution: Execution) -> int:
        """Add an execution and return its id.

        Raises
        ------
        AlreadyRecordedError
            If its request id, or its attempt of the run for the variant and symbol, is on record.
        BugError
            If its fields contradict each other, its start has no zone, or it has an id.
        UnavailableError
            If the file is locked for longer than the busy time-out, read-only or on a full disk.
        """
        if execution.id is not None or execution.started_at.tzinfo is None:
            raise BugError(f"an execution to insert has no id and a start with a zone; got {execution}")
        start = execution.started_at.astimezone(UTC).isoformat(timespec="microseconds")
        row = [start if name == "started_at" else getattr(execution, name) for name in _COLUMNS]
        with self._open() as connection:
            try:
                return int(connection.execute(_INSERT, row).lastrowid or 0)
            except sqlite3.IntegrityError as error:
                raise _refusal(connection, execution, error) from error
            except (sqlite3.ProgrammingError, OverflowError, UnicodeEncodeError) as error:
                raise BugError(f"a field that the table cannot hold: {error}; got {execution!r}") from error

    def get(self, execution_id: int) -> Execution | None:
        """Return one execution, or None when there is none with that id."""
        rows = self._select(f"{_SELECT} WHERE id = ?", execution_id)
        return rows[0] if rows else None

    def recent(self, limit: int, variant: str | None = None, outcome: Outcome | None = None) -> list[Execution]:
        """Return the executions that started last, newest first.

        Parameters
        ----------
        limit : int
            At most so many, 1 or more.
        variant, outcome : optional
            Only those.

        Raises
        ------
        BadRequestError
            If the limit is less than 1.
        """
        if limit < 1:
            raise BadRequestError("limit", limit, "it must be 1 or more")
        wanted = {"variant = ?": variant, "outcome = ?": outcome}
        conditions = {text: value for text, value in wanted.items() if value is not None}
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = " ORDER BY started_at DESC, id DESC LIMIT ?"
        return self._select(_SELECT + where + order, *conditions.values(), limit)

    def close(self) -> None:
        """Close the file. A later use opens it again."""
        with self._lock:
            if self._connection is not None and self._owner_pid == os.getpid():
                self._connection.close()
                self._connection = None

    def _select(self, statement: str, *values: object) -> list[Execution]:
        with self._open() as connection:
            return [_execution(row) for row in connection.execute(statement, values)]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Lend the connection to one thread at a time, and give SQLite's errors the names of this package."""
        with self._lock:
            try:
                if self._connection is not None and self._owner_pid != os.getpid():
                    # SQLite forbids even closing a connection that was opened before a fork.
                    self._inherited.append(self._connection)
                    self._connection = None
                if self._connection is None:
                    self._connection = _connect(self.path)
                    self._owner_pid = os.getpid()
                yield self._connection
            except (sqlite3.OperationalError, OSError) as error:
                raise UnavailableError(
                    f"the table of executions {self.path} does not answer: {error}; "
                    "check the file's permissions, free space and who holds it"
                ) from error
            except sqlite3.DatabaseError as error:
                raise BadDataError(str(self.path), f"not a usable SQLite file: {error}; move it away") from error


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        _set_write_ahead(connection)
        connection.execute("PRAGMA synchronous = NORMAL")
        if _schema_version(connection, path) == 0:
            _create(connection, path)
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


def _schema_version(connection: sqlite3.Connection, path: Path) -> int:
    """Return the schema version of the file: this release's, or 0 when it is empty."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version not in (0, _SCHEMA_VERSION):
        raise BadDataError(str(path), f"its schema version is {version}, this release knows {_SCHEMA_VERSION}")
    return version


def _create(connection: sqlite3.Connection, path: Path) -> None:
    """Create the table, unless another process was faster."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _schema_version(connection, path) == 0:
            for statement in _SCHEMA.split(";")[:-1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _refusal(connection: sqlite3.Connection, execution: Execution, error: sqlite3.IntegrityError) -> Exception:
    """Return what an insertion that broke a rule of the table is to raise."""
    if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
        return BugError(f"an execution with contradicting fields: {error}; got {execution}")
    by_request = "SELECT id FROM executions WHERE request_id = ?"
    by_run = "SELECT id FROM executions WHERE run_id = ? AND symbol = ? AND variant = ? AND attempt = ?"
    row = connection.execute(by_request, (execution.request_id,)).fetchone()
    if row is not None:
        return AlreadyRecordedError("request_id", execution.request_id, row[0])
    key = (execution.run_id, execution.symbol, execution.variant, execution.attempt)
    return AlreadyRecordedError("run_id", execution.run_id, connection.execute(by_run, key).fetchone()[0])


def _execution(row: tuple[object, ...]) -> Execution:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["started_at"] = datetime.fromisoformat(str(values["started_at"]))
    values["cached"] = bool(values["cached"])
    return Execution(**values)  # type: ignore[arg-type]
