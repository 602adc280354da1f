"""The records in a Postgres database, in a schema of their own beside Dagster's tables.

Connections wait by themselves and not inside the driver: a server that was stopped, or a machine that is gone, costs
a statement its time and no more.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final
from weakref import WeakSet

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import POLL_OK, POLL_READ

from backtest_pipelines.errors import BacktestError, BugError, UnavailableError
from backtest_pipelines.records.connection import DuplicateError, Result
from backtest_pipelines.records.schema import POSTGRES, VERSION, statements_from

CONNECT_TIMEOUT_S: Final = 3.0
STATEMENT_TIMEOUT_S: Final = 10.0
_SERVER_GRACE_S: Final = 2.0
_POOL_SIZE: Final = 10
_NAME: Final = "backtest-pipelines"
_SCHEMA: Final = "backtest"
_MIGRATION_LOCK: Final = 0x6261636B74657374
_PREPARE: Final = f"SET search_path TO {_SCHEMA}; SET statement_timeout TO {STATEMENT_TIMEOUT_S * 1000:.0f}"


class PostgresConnection:
    """A connection that gives Postgres' errors the names of this package."""

    def __init__(self, url: str, name: str) -> None:
        self._name = name
        deadline_s = time.monotonic() + CONNECT_TIMEOUT_S
        with self._named_errors():
            # In this mode each statement is committed by itself, unless a BEGIN was sent.
            self.raw: psycopg2.extensions.connection = psycopg2.connect(
                url, async_=1, application_name="backtest-pipelines"
            )
            try:
                self._wait(deadline_s)
            except BaseException:
                self.raw.close()
                raise
        self.execute(_PREPARE)

    def execute(self, statement: str, *parameters: object) -> Result:
        """See `backtest_pipelines.records.connection.Connection`."""
        with self._named_errors():
            try:
                cursor = self.raw.cursor()
                cursor.execute(_dialect(statement), parameters)
                self._wait(time.monotonic() + STATEMENT_TIMEOUT_S + _SERVER_GRACE_S)
            except psycopg2.errors.UniqueViolation as error:
                raise DuplicateError(str(error)) from error
            except psycopg2.IntegrityError as error:
                raise BugError(f"a row that contradicts itself: {error}; got {parameters}") from error
            except (psycopg2.DataError, psycopg2.ProgrammingError, ValueError) as error:
                raise BugError(f"a value that the database cannot hold: {error}; got {parameters!a}") from error
            if cursor.description is None:
                return Result([], cursor.rowcount)
            rows = cursor.fetchall()
            return Result(rows, len(rows))

    def insert(self, statement: str, *parameters: object) -> int | None:
        """See `backtest_pipelines.records.connection.Connection`."""
        row = self.execute(f"{statement} RETURNING id", *parameters).one()
        return None if row is None else int(str(row[0]))

    def next_id(self, table: str) -> int:
        """See `backtest_pipelines.records.connection.Connection`."""
        ((number,),) = self.execute("SELECT nextval(pg_get_serial_sequence(?, 'id'))", table).all()
        return int(str(number))

    @property
    def reusable(self) -> bool:
        """Whether it is open."""
        return is_reusable(self.raw)

    def _wait(self, deadline_s: float) -> None:
        while (state := self.raw.poll()) != POLL_OK:
            events = select.POLLIN if state == POLL_READ else select.POLLOUT
            if not _ready(self.raw.fileno(), events, max(0.0, deadline_s - time.monotonic())):
                self.raw.close()
                raise psycopg2.OperationalError("no answer in time")

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except psycopg2.Error as error:
            raise UnavailableError(
                f"the database {self._name} does not answer: {str(error).strip()}; "
                "check that Postgres runs and takes connections"
            ) from error


class PostgresDatabase:
    """See `backtest_pipelines.records.connection.Backend`.

    Parameters
    ----------
    url : str
        `postgresql://...`.
    name : str
        What errors call it: the address without its password.
    """

    def __init__(self, url: str, name: str) -> None:
        self._url = url
        self._name = name
        self.forget_parent()
        _OPENED.add(self)

    @contextmanager
    def connection(self) -> Iterator[PostgresConnection]:
        """Lend a connection; with all ten lent, wait for one."""
        with self._places:
            connection = self._take()
            try:
                yield connection
            except (BacktestError, DuplicateError):
                self._put_back(connection)
                raise
            except BaseException:
                # Interrupted at an unknown place, such as in the middle of a statement.
                connection.raw.close()
                raise
            self._put_back(connection)

    @contextmanager
    def transaction(self) -> Iterator[PostgresConnection]:
        """Lend a connection with a transaction begun."""
        with self.connection() as connection:
            connection.execute("BEGIN")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                # The server rolls back what is hung up on.
                connection.raw.close()
                raise

    def close(self) -> None:
        """Close the connections that are not lent. A later use opens new ones."""
        while (connection := self._idle_one()) is not None:
            connection.raw.close()

    def forget_parent(self) -> None:
        """Let go, in a forked child, of what belongs to the parent; psycopg2 leaves the parent's sockets alone."""
        self._places = threading.BoundedSemaphore(_POOL_SIZE)
        self._migration = threading.Lock()
        self._migrated = False
        self._idle: list[PostgresConnection] = []

    def _take(self) -> PostgresConnection:
        while (connection := self._idle_one()) is not None:
            if connection.reusable:
                return connection
            connection.raw.close()
        connection = PostgresConnection(self._url, self._name)
        with self._migration:
            if not self._migrated:
                try:
                    _migrate(connection, self._name)
                except BaseException:
                    connection.raw.close()
                    raise
                self._migrated = True
        return connection

    def _idle_one(self) -> PostgresConnection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def _put_back(self, connection: PostgresConnection) -> None:
        if not connection.raw.closed:
            self._idle.append(connection)


_OPENED: WeakSet[PostgresDatabase] = WeakSet()


def _after_fork() -> None:
    for database in _OPENED:
        database.forget_parent()


os.register_at_fork(after_in_child=_after_fork)


def is_reusable(connection: psycopg2.extensions.connection) -> bool:
    """Say whether an idle connection is open: the server says nothing on it, but when it hangs up."""
    return not connection.closed and not _ready(connection.fileno(), select.POLLIN, 0)


@lru_cache(maxsize=256)
def _dialect(statement: str) -> str:
    clock = "extract(epoch FROM clock_timestamp())::double precision"
    given = "OVERRIDING SYSTEM VALUE"
    return (
        statement.replace("?", "%s")
        .replace("{now}", clock)
        .replace("{share}", "FOR SHARE")
        .replace("{id_given}", given)
    )


def _ready(descriptor: int, events: int, timeout_s: float) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, events)
    return bool(waiting.poll(timeout_s * 1000))


def _migrate(connection: PostgresConnection, name: str) -> None:
    """Bring the database to this release's schema, alone among all processes."""
    if _version(connection) == VERSION:
        return
    connection.execute("BEGIN")
    connection.execute("SELECT pg_advisory_xact_lock(?)", _MIGRATION_LOCK)
    version = _version(connection)
    if version == 0:
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {_SCHEMA}")
        connection.execute("CREATE TABLE version (version INTEGER NOT NULL)")
        connection.execute("INSERT INTO version VALUES (0)")
    for statement in statements_from(version, POSTGRES, name):
        connection.execute(statement)
    connection.execute("UPDATE version SET version = ?", VERSION)
    connection.execute("COMMIT")


def _version(connection: PostgresConnection) -> int:
    # A table is read, and not `to_regclass`, which may answer from what was so before the lock was taken.
    found = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = ? AND tablename = 'version'"
    if connection.execute(found, _SCHEMA).one() is None:
        return 0
    ((version,),) = connection.execute("SELECT version FROM version").all()
    return int(str(version))
