"""The table of invalidations: until when what was kept of a variant and symbol does not count any more."""

from __future__ import annotations

from typing import Final

from backtest_pipelines.records.database import Database

_ALL: Final = "*"
_STAMP: Final = """
INSERT INTO invalidations (variant, symbol, before_s) VALUES (?, ?, {now} - ?)
ON CONFLICT (variant, symbol) DO UPDATE SET before_s = excluded.before_s
WHERE excluded.before_s > invalidations.before_s
"""
_BEFORE: Final = "SELECT max(before_s) FROM invalidations WHERE variant IN (?, ?) AND symbol IN (?, ?)"


class Invalidations:
    """The table of invalidations, and the clock that they go by: the database's.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def now_s(self) -> float:
        """Return the time of the database, in seconds since 1970.

        Raises
        ------
        UnavailableError
            If the database does not answer.
        """
        with self._database.connection() as connection:
            ((now_s,),) = connection.execute("SELECT {now}").all()
        return float(str(now_s))

    def stamp(self, variant: str | None = None, symbol: str | None = None, older_than_s: float = 0.0) -> None:
        """Invalidate what was kept until now, or until some time ago. A stamp is never lowered.

        Parameters
        ----------
        variant, symbol : str, optional
            Only of those.
        older_than_s : float
            Age in seconds, 0 or more, from which on answers are concerned.

        Raises
        ------
        UnavailableError
            If the database does not answer.
        """
        with self._database.connection() as connection:
            connection.execute(_STAMP, variant or _ALL, symbol or _ALL, older_than_s)

    def before_s(self, variant: str, symbol: str) -> float:
        """Return the time until which what was kept is invalid, in seconds since 1970; 0 where nothing is.

        Raises
        ------
        UnavailableError
            If the database does not answer.
        """
        with self._database.connection() as connection:
            ((before_s,),) = connection.execute(_BEFORE, variant, _ALL, symbol, _ALL).all()
        return 0.0 if before_s is None else float(str(before_s))
