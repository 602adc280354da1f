"""`Database`: one SQLite file or one Postgres database, used in the same way."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Self

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.records.connection import Backend, Connection, DuplicateError, Result
from backtest_pipelines.records.sqlite import SqliteDatabase

__all__ = ["Connection", "Database", "DuplicateError", "Result"]

_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg2")


class Database:
    """Where records are kept: opened, created and brought to this release's schema at the first use.

    Safe to share between threads, and across a fork: a child opens connections of its own.

    Parameters
    ----------
    location : Path or str
        An SQLite file, whose folder is created with mode 0700, or the address of a Postgres database.

    Attributes
    ----------
    name : str
        What errors call it: the file, or the address without its password.
    is_postgres : bool

    Raises
    ------
    BadRequestError
        If an address is not one of Postgres.
    """

    def __init__(self, location: Path | str) -> None:
        self.is_postgres = isinstance(location, str)
        self.name, self._backend = _backend(location)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connection(self) -> AbstractContextManager[Connection]:
        """Lend a connection on which each statement stands alone.

        Lend no second one inside: SQLite has one only.

        Raises
        ------
        UnavailableError
            If the database cannot be opened.
        BadDataError
            If it is none, or one of a later release.
        """
        return self._backend.connection()

    def transaction(self) -> AbstractContextManager[Connection]:
        """Lend a connection whose statements count together, or, after an error, not at all.

        Raises
        ------
        UnavailableError
            If the database cannot be opened, or a writer holds it for longer than the time-out.
        BadDataError
            If it is none, or one of a later release.
        """
        return self._backend.transaction()

    def close(self) -> None:
        """Close all connections. A later use opens new ones."""
        self._backend.close()


def _backend(location: Path | str) -> tuple[str, Backend]:
    if isinstance(location, Path):
        return str(location), SqliteDatabase(location)
    scheme, separator, rest = location.partition("://")
    credentials, at, place = rest.rpartition("@")
    name = f"postgresql://{credentials.partition(':')[0]}{at}{place.partition('?')[0]}"
    if scheme not in _SCHEMES or not separator:
        raise BadRequestError("location", name, "allowed: postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    from backtest_pipelines.records.postgres import PostgresDatabase  # noqa: PLC0415 - needs a driver that SQLite spares

    return name, PostgresDatabase(f"postgresql://{rest}", name)
