"""Who executes which run, and who decides what may start next. Each change is one statement: of several, one wins.

A claim whose owner gave no sign of life for `LEASE_S` can be taken over or given away; from then on the owner's own
statements change nothing. All times are read from the database's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, cast

from backtest_pipelines.records.connection import Row
from backtest_pipelines.records.database import Database

State = Literal["held", "lost", "cancelled", "done"]

LEASE_S: Final = 4.0
"""Seconds without a beat after which a claim is stale."""

STOCK: Final = "stock:"
"""How the owner of a run begins that Dagster's own launcher started. It shows no beat and is never stale: the launcher
asks for its process instead."""

# A beat from the future is no fresher than an old one: the clock was set back.
_STALE: Final = (
    f"claims.state = 'held' AND abs({{now}} - claims.beat_s) > {LEASE_S} AND substr(claims.owner, 1, 6) <> '{STOCK}'"
)
_ADMITTED: Final = "SELECT 1 FROM admission WHERE owner = ? AND {now} BETWEEN since_s AND until_s {share}"

_TAKE: Final = f"""
INSERT INTO claims (run_id, owner, state, beat_s, since_s)
SELECT ?, ?, 'held', {{now}}, {{now}} WHERE ? = 1 OR EXISTS ({_ADMITTED})
ON CONFLICT (run_id) DO UPDATE
SET owner = excluded.owner, beat_s = excluded.beat_s, since_s = excluded.since_s, deaths = claims.deaths + 1
WHERE {_STALE}
"""
_BEAT: Final = """
UPDATE claims SET beat_s = {now} WHERE run_id = ? AND owner = ? AND state = 'held' RETURNING cancel_requested
"""
_GIVE_AWAY: Final = f"""
UPDATE claims SET state = 'lost' WHERE run_id = ? AND (state = 'lost' OR {_STALE})
"""  # noqa: S608
_WITHHOLD: Final = f"""
INSERT INTO claims (run_id, owner, state, beat_s, since_s) VALUES (?, '', 'cancelled', {{now}}, {{now}})
ON CONFLICT (run_id) DO UPDATE SET state = 'cancelled', beat_s = excluded.beat_s
WHERE claims.state = 'cancelled' OR ({_STALE})
"""  # noqa: S608
_SELECT: Final = """
SELECT run_id, owner, state, {now} - beat_s, {now} - since_s, cancel_requested, deaths FROM claims
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that somebody executes or executed, or that nobody may.

    Attributes
    ----------
    run_id : str
    owner : str
        Empty where a run was withheld before anybody took it.
    state : {"held", "lost", "cancelled", "done"}
    beat_age_s : float
        Since the owner's last sign of life, or since the run was withheld.
    held_s : float
        Since this owner took it.
    cancel_requested : bool
    deaths : int
        Owners before this one that stood still or died.
    """

    run_id: str
    owner: str
    state: State
    beat_age_s: float
    held_s: float
    cancel_requested: bool
    deaths: int


class Claims:
    """The claims on runs.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, run_id: str, owner: str) -> bool:
        """Claim a run that nobody claimed, or whose owner's claim is stale; return whether it is the owner's now.

        The owner must hold the admission, unless its name begins with ``stock:``.
        """
        is_stock = int(owner.startswith(STOCK))
        with self._database.connection() as connection:
            return connection.execute(_TAKE, run_id, owner, is_stock, owner).count == 1

    def beat(self, run_id: str, owner: str) -> bool | None:
        """Give a sign of life; return whether a cancel is requested, or None when the claim is not the owner's."""
        with self._database.connection() as connection:
            row = connection.execute(_BEAT, run_id, owner).one()
        return None if row is None else bool(row[0])

    def give_away(self, run_id: str) -> bool:
        """Mark a stale claim as lost; return whether it is lost now."""
        with self._database.connection() as connection:
            return connection.execute(_GIVE_AWAY, run_id).count == 1

    def withhold(self, run_id: str) -> bool:
        """Cancel a run that nobody claimed, or whose claim is stale; return whether it is cancelled now."""
        with self._database.connection() as connection:
            return connection.execute(_WITHHOLD, run_id).count == 1

    def request_cancel(self, run_id: str) -> None:
        """Ask the owner of a held claim, which hears it with its next beat, to cancel the run."""
        with self._database.connection() as connection:
            connection.execute("UPDATE claims SET cancel_requested = 1 WHERE run_id = ? AND state = 'held'", run_id)

    def release(self, run_id: str, owner: str) -> None:
        """Mark the owner's claim as done; one that is not the owner's any more stays as it is."""
        statement = "UPDATE claims SET state = 'done', beat_s = {now} WHERE run_id = ? AND owner = ? AND state = 'held'"
        with self._database.connection() as connection:
            connection.execute(statement, run_id, owner)

    def get(self, run_id: str) -> Claim | None:
        """Return the claim on a run, or None when nobody claimed it."""
        with self._database.connection() as connection:
            row = connection.execute(f"{_SELECT} WHERE run_id = ?", run_id).one()
        return None if row is None else _claim(row)

    def held(self) -> dict[str, Claim]:
        """Return all held claims by run id, the stale ones too."""
        with self._database.connection() as connection:
            rows = connection.execute(f"{_SELECT} WHERE state = 'held'").all()
        return {claim.run_id: claim for claim in map(_claim, rows)}

    def prune(self, older_than_s: float) -> int:
        """Delete the claims whose last beat is older, held or not; return how many.

        Nobody releases the claim of a run that Dagster's own launcher started, or whose owner died after a cancel.
        """
        with self._database.connection() as connection:
            return connection.execute("DELETE FROM claims WHERE beat_s < {now} - ?", older_than_s).count


class Admission:
    """The right to decide what may start next: of several owners one has it, and none for long.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def enter(self, owner: str, lease_s: float = 3.0) -> bool:
        """Return whether the owner may decide from now on, for at most `lease_s` seconds."""
        statement = """
            UPDATE admission SET owner = ?, since_s = {now}, until_s = {now} + ?
            WHERE owner IS NULL OR owner = ? OR NOT {now} BETWEEN since_s AND until_s
        """
        with self._database.connection() as connection:
            return connection.execute(statement, owner, lease_s, owner).count == 1

    def leave(self, owner: str) -> None:
        """Let the next one decide; without effect where another one does already."""
        with self._database.connection() as connection:
            connection.execute("UPDATE admission SET owner = NULL WHERE owner = ?", owner)


def _claim(row: Row) -> Claim:
    run_id, owner, state, beat_age_s, held_s, cancel_requested, deaths = row
    return Claim(
        str(run_id),
        str(owner),
        cast("State", state),
        float(str(beat_age_s)),
        float(str(held_s)),
        bool(cancel_requested),
        int(str(deaths)),
    )
