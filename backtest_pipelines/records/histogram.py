"""Durations as a histogram that can be looked at: a few columns a decade, where the buckets have twenty."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from backtest_pipelines.records.buckets import FIRST_DECADE, PER_DECADE
from backtest_pipelines.records.totals import Total

COLUMNS_PER_DECADE: Final = 4
_BUCKETS_PER_COLUMN: Final = PER_DECADE // COLUMNS_PER_DECADE


@dataclass(frozen=True, slots=True)
class Histogram:
    """Completed executions by duration, over whole decades.

    Attributes
    ----------
    found, computed : tuple of int
        Executions of each column, whose answer was in the cache, and whose answer was not.
    decades_ms : tuple of float
        Where the decades begin and the last one ends; `COLUMNS_PER_DECADE` columns lie between two of them. What is
        shorter than the first limit of all, or longer than the last, is in the outermost column.
    """

    found: tuple[int, ...]
    computed: tuple[int, ...]
    decades_ms: tuple[float, ...]


def histogram(totals: Iterable[Total]) -> Histogram | None:
    """Return the durations that the totals count, or None where nothing was completed."""
    found: Counter[int] = Counter()
    computed: Counter[int] = Counter()
    for total in totals:
        if total.outcome == "completed":
            (computed if total.tier == "none" else found)[_column(total.bucket)] += total.executions
    used = [*found, *computed]
    if not used:
        return None
    first, last = min(used) // COLUMNS_PER_DECADE, max(used) // COLUMNS_PER_DECADE
    columns = range(first * COLUMNS_PER_DECADE, (last + 1) * COLUMNS_PER_DECADE)
    return Histogram(
        tuple(found[column] for column in columns),
        tuple(computed[column] for column in columns),
        tuple(10.0 ** (FIRST_DECADE + decade) for decade in range(first, last + 2)),
    )


def _column(bucket: int) -> int:
    return max(0, bucket - 1) // _BUCKETS_PER_COLUMN
