"""Metrics of executions: views of their totals, the same for every server that shares the database."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from backtest_pipelines.records.buckets import percentile_ms
from backtest_pipelines.records.totals import Total


@dataclass(frozen=True, slots=True)
class Counts:
    """How often, and with which outcome.

    Attributes
    ----------
    executions, completed, failed : int
        What was cancelled has failed.
    hits, misses : int
        Completed executions whose answer was found in the cache, and whose answer was computed.
    """

    executions: int
    completed: int
    failed: int
    hits: int
    misses: int

    @property
    def success_rate_percent(self) -> float:
        """Completed of all, in percent; 0 where there are none."""
        return _percent(self.completed, self.executions)

    @property
    def cache_hit_rate_percent(self) -> float:
        """Hits of all completed, in percent; 0 where there are none."""
        return _percent(self.hits, self.completed)


@dataclass(frozen=True, slots=True)
class Durations:
    """How long the completed executions took, in ms; zeros where there are none.

    Attributes
    ----------
    mean_ms, min_ms, max_ms : float
        Exact.
    p50_ms, p95_ms : float
        Median and 95th percentile, within 13 percent.
    """

    mean_ms: float
    min_ms: float
    max_ms: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class VariantMetrics:
    """Metrics of one variant.

    Attributes
    ----------
    counts : Counts
    durations : Durations
    last_started_at : datetime
        UTC.
    """

    counts: Counts
    durations: Durations
    last_started_at: datetime


def counts(totals: Iterable[Total]) -> Counts:
    """Return how many executions the totals count, by outcome."""
    by: Counter[str] = Counter()
    for total in totals:
        by["all"] += total.executions
        by[total.outcome] += total.executions
        if total.outcome == "completed":
            by["misses" if total.tier == "none" else "hits"] += total.executions
    return Counts(by["all"], by["completed"], by["failed"], by["hits"], by["misses"])


def by_variant(totals: Iterable[Total]) -> dict[str, VariantMetrics]:
    """Return the metrics of each variant that was ever asked for."""
    of: dict[str, list[Total]] = {}
    for total in totals:
        of.setdefault(total.variant, []).append(total)
    return {
        variant: VariantMetrics(counts(some), durations(some), max(total.last_started_at for total in some))
        for variant, some in sorted(of.items())
    }


def durations(totals: Iterable[Total]) -> Durations:
    """Return how long the completed executions took that the totals count."""
    completed = [total for total in totals if total.outcome == "completed"]
    if not completed:
        return Durations(0.0, 0.0, 0.0, 0.0, 0.0)
    in_buckets: Counter[int] = Counter()
    for total in completed:
        in_buckets[total.bucket] += total.executions
    least, most = min(total.min_ms for total in completed), max(total.max_ms for total in completed)
    return Durations(
        mean_ms=sum(total.sum_ms for total in completed) / in_buckets.total(),
        min_ms=least,
        max_ms=most,
        p50_ms=percentile_ms(in_buckets, 0.5, least, most),
        p95_ms=percentile_ms(in_buckets, 0.95, least, most),
    )


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0
