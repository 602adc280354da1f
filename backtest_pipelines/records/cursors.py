"""How far something was read: one text by name, that outlives the process."""

from __future__ import annotations

from typing import Final

from backtest_pipelines.records.database import Database

ENDED_RUNS: Final = "ended runs"
"""Name of the API's cursor through Dagster's runs that failed or were cancelled: a time in seconds since 1970."""
ENDED_RUNS_OVERLAP_S: Final = 30.0
"""What changed so shortly before it may not have been seen: a change is noted a moment before, and clocks differ."""


class Cursors:
    """The table of cursors.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> str | None:
        """Return a cursor, or None where nothing was read yet."""
        with self._database.connection() as connection:
            row = connection.execute("SELECT value FROM cursors WHERE name = ?", name).one()
        return None if row is None else str(row[0])

    def put(self, name: str, value: str) -> None:
        """Note how far it was read."""
        statement = (
            "INSERT INTO cursors (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        )
        with self._database.connection() as connection:
            connection.execute(statement, name, value)
