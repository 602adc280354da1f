"""The processes that execute runs: each shows itself now and then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from backtest_pipelines.records.connection import Row
from backtest_pipelines.records.database import Database

_SHOW: Final = """
INSERT INTO workers (owner, host, pid, run_id, beat_s, started_s) VALUES (?, ?, ?, ?, {now}, {now})
ON CONFLICT (owner) DO UPDATE
SET host = excluded.host, pid = excluded.pid, run_id = excluded.run_id, beat_s = excluded.beat_s
"""
_ALIVE: Final = """
SELECT owner, host, pid, run_id, {now} - beat_s, started_s FROM workers
WHERE abs({now} - beat_s) <= ? ORDER BY started_s, owner
"""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process that executes runs.

    Attributes
    ----------
    owner : str
        Its name in claims.
    host : str
    pid : int
    run_id : str or None
        What it executes; None where it is idle.
    beat_age_s : float
        Since it last showed itself.
    started_at : datetime
        UTC; when it first did.
    """

    owner: str
    host: str
    pid: int
    run_id: str | None
    beat_age_s: float
    started_at: datetime


class Workers:
    """The table of workers.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def show(self, owner: str, host: str, pid: int, run_id: str | None) -> None:
        """Say that a worker lives, and what it executes."""
        with self._database.connection() as connection:
            connection.execute(_SHOW, owner, host, pid, run_id)

    def leave(self, owner: str) -> None:
        """Say that a worker ends."""
        with self._database.connection() as connection:
            connection.execute("DELETE FROM workers WHERE owner = ?", owner)

    def alive(self, within_s: float = 10.0) -> list[Worker]:
        """Return the workers that showed themselves within some seconds, the oldest first."""
        with self._database.connection() as connection:
            return [_worker(row) for row in connection.execute(_ALIVE, within_s).all()]

    def prune(self, older_than_s: float) -> int:
        """Delete the workers that ended without a word and last showed themselves earlier; return how many."""
        with self._database.connection() as connection:
            return connection.execute("DELETE FROM workers WHERE abs({now} - beat_s) > ?", older_than_s).count


def _worker(row: Row) -> Worker:
    owner, host, pid, run_id, beat_age_s, started_s = row
    return Worker(
        str(owner),
        str(host),
        int(str(pid)),
        None if run_id is None else str(run_id),
        float(str(beat_age_s)),
        datetime.fromtimestamp(float(str(started_s)), UTC),
    )
