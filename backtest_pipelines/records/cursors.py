"""How far something was read: one text by name, that outlives the process."""

from __future__ import annotations

from backtest_pipelines.records.database import Database


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
