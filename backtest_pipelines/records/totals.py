"""The totals of executions: how many there were of each kind, and how long they took. Metrics are read from them alone.

They are kept in the transaction that puts an execution on record, so that they are exact at any time and cost the same
however many executions there are; what is pruned from the table of executions stays in them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from backtest_pipelines.records.buckets import bucket
from backtest_pipelines.records.database import Connection, Database
from backtest_pipelines.records.times import utc_text

if TYPE_CHECKING:
    from backtest_pipelines.records.executions import Execution

_KEY: Final = "variant, door, outcome, tier, bucket"
_COLUMNS: Final = f"{_KEY}, executions, sum_ms, min_ms, max_ms, last_started_at"
_LEAST: Final = "CASE WHEN excluded.min_ms < durations.min_ms THEN excluded.min_ms ELSE durations.min_ms END"
_MOST: Final = "CASE WHEN excluded.max_ms > durations.max_ms THEN excluded.max_ms ELSE durations.max_ms END"
_LAST: Final = (
    "CASE WHEN excluded.last_started_at > durations.last_started_at "
    "THEN excluded.last_started_at ELSE durations.last_started_at END"
)
_ADD: Final = f"""
INSERT INTO durations ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT ({_KEY}) DO UPDATE SET
    executions = durations.executions + excluded.executions, sum_ms = durations.sum_ms + excluded.sum_ms,
    min_ms = {_LEAST}, max_ms = {_MOST}, last_started_at = {_LAST}
"""  # noqa: S608 - names of this module


@dataclass(frozen=True, slots=True)
class Total:
    """Executions of one kind, whose durations are in one bucket.

    Attributes
    ----------
    variant, door, outcome : str
    tier : {"redis", "file", "none"}
        Where the answer was found; "none" where it was computed or the execution failed.
    bucket : int
        See `backtest_pipelines.records.buckets`.
    executions : int
        1 or more.
    sum_ms, min_ms, max_ms : float
        Of their durations.
    last_started_at : datetime
        UTC.
    """

    variant: str
    door: str
    outcome: str
    tier: str
    bucket: int
    executions: int
    sum_ms: float
    min_ms: float
    max_ms: float
    last_started_at: datetime

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What no two totals share."""
        return self.variant, self.door, self.outcome, self.tier, self.bucket

    def with_another(self, other: Total) -> Total:
        """Return the two as one."""
        return replace(
            self,
            executions=self.executions + other.executions,
            sum_ms=self.sum_ms + other.sum_ms,
            min_ms=min(self.min_ms, other.min_ms),
            max_ms=max(self.max_ms, other.max_ms),
            last_started_at=max(self.last_started_at, other.last_started_at),
        )


def add_to_totals(connection: Connection, executions: Iterable[Execution]) -> None:
    """Count executions, in the transaction that puts them on record."""
    totals: dict[tuple[str, str, str, str, int], Total] = {}
    for execution in executions:
        total = _total(execution)
        totals[total.key] = total.with_another(totals[total.key]) if total.key in totals else total
    # In one order everywhere: two writers never wait for each other in turn.
    for key, total in sorted(totals.items()):
        started_at = utc_text(total.last_started_at)
        connection.execute(_ADD, *key, total.executions, total.sum_ms, total.min_ms, total.max_ms, started_at)


def read_totals(database: Database, variant: str | None = None) -> list[Total]:
    """Return the totals of all executions, or of those of one variant."""
    condition, values = ("", ()) if variant is None else (" WHERE variant = ?", (variant,))
    with database.connection() as connection:
        rows = connection.execute(f"SELECT {_COLUMNS} FROM durations{condition}", *values).all()  # noqa: S608
    return [Total(*row[:9], datetime.fromisoformat(str(row[9]))) for row in rows]  # type: ignore[arg-type,call-arg]


def _total(execution: Execution) -> Total:
    duration_ms = execution.duration_ms
    return Total(
        execution.variant,
        execution.door,
        execution.outcome,
        execution.tier or "none",
        bucket(duration_ms),
        1,
        duration_ms,
        duration_ms,
        duration_ms,
        execution.started_at.astimezone(UTC),
    )
