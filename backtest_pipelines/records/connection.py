"""What both databases share: how a statement is written, what it returns, and what its refusal is called.

A statement is written once for both: `?` stands for a parameter, `{now}` for the database's clock in seconds since
1970, `{share}` behind a SELECT for the lock that keeps its rows as they are until the statement has ended,
`{id_given}` behind the columns of an INSERT for leave to write an `id` that `next_id` gave.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias

Row: TypeAlias = tuple[object, ...]


class DuplicateError(Exception):
    """A row was refused since its key is taken."""


@dataclass(slots=True)
class Result:
    """What a statement did.

    Attributes
    ----------
    rows : list of tuple
        Those that it returned.
    count : int
        Rows returned, or changed where the statement returns none.
    """

    rows: list[Row]
    count: int

    def one(self) -> Row | None:
        """Return the first row, or None where there is none."""
        return self.rows[0] if self.rows else None

    def all(self) -> list[Row]:
        """Return all rows."""
        return self.rows


class Connection(Protocol):
    """A connection that is lent to one thread."""

    def execute(self, statement: str, *parameters: object) -> Result:
        """Carry out one statement.

        Raises
        ------
        DuplicateError
            If a row's key is taken.
        BugError
            If a row contradicts itself, or a value is of a kind that the database cannot hold.
        UnavailableError
            If the database is locked, full, read-only, or does not answer in time.
        BadDataError
            If the file is no database.
        """

    def insert(self, statement: str, *parameters: object) -> int | None:
        """Carry out an INSERT of at most one row and return its `id`, or None where its condition let none pass.

        Raises
        ------
        DuplicateError, BugError, UnavailableError, BadDataError
            As `execute`.
        """

    def next_id(self, table: str) -> int:
        """Take the next `id` of a table: no other row will ever have it. To be called in a transaction.

        Raises
        ------
        UnavailableError, BadDataError
            As `execute`.
        """


class Backend(Protocol):
    """One kind of database, opened at first use; its connections survive a fork of the process."""

    def connection(self) -> AbstractContextManager[Connection]:
        """Lend a connection on which each statement stands alone."""

    def transaction(self) -> AbstractContextManager[Connection]:
        """Lend a connection whose statements count together, or, after an error, not at all."""

    def close(self) -> None:
        """Close all connections. A later use opens new ones."""
