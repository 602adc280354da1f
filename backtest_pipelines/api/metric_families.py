"""The metrics in the words of Prometheus: base units, cumulative buckets, counters that only grow."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from prometheus_client import ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from backtest_pipelines import __version__
from backtest_pipelines.records.buckets import COUNT, LIMITS_MS
from backtest_pipelines.records.totals import Total
from backtest_pipelines.records.workers import Worker
from backtest_pipelines.strategies import catalogue

if TYPE_CHECKING:
    from backtest_pipelines.executions.cache import Held

LIMITS_S: Final = tuple(float(f"{step}e{decade}") for decade in range(-4, 2) for step in (2.5, 5, 10))
"""Upper limits of the histogram's buckets, 0.25 ms to 100 s: three a decade of the twenty that are kept."""
_KEPT: Final = [
    *((str(limit), LIMITS_MS.index(float(f"{limit * 1000:.6g}"))) for limit in LIMITS_S),
    ("+Inf", COUNT - 1),
]
_MIB: Final = 2**20


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the database tells, the same to every server.

    Attributes
    ----------
    totals : Sequence of Total
    held : Held
    open_jobs : int
    workers : Sequence of Worker
    """

    totals: Sequence[Total]
    held: Held
    open_jobs: int
    workers: Sequence[Worker]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the metrics are made of.

    Attributes
    ----------
    parts : Mapping of str to {"up", "down"}
    recorded : Recorded or None
        None while the database does not answer: its metrics are left out, as zeros would be wrong.
    requests : Mapping of (str, int or None) to int
        By method and status.
    requests_under_way : int
    """

    parts: Mapping[str, str]
    recorded: Recorded | None
    requests: Mapping[tuple[str, int | None], int]
    requests_under_way: int


class Families(Collector):
    """The metrics of a reading.

    Parameters
    ----------
    reading : Reading
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        reading = self._reading
        yield _gauge("backtest_build_info", "Version that runs", ["version"], [([__version__], 1)])
        up = [([part], float(state == "up")) for part, state in reading.parts.items()]
        yield _gauge("backtest_part_up", "Whether a part of the installation is up", ["part"], up)
        if reading.recorded is not None:
            yield from _recorded(reading.recorded)
        yield from _requests(reading)
        yield from _process().collect()


@cache
def _process() -> ProcessCollector:
    return ProcessCollector(registry=None)


_Value = tuple[Sequence[str], float]


def _gauge(name: str, meaning: str, labels: Sequence[str], values: Iterable[_Value]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for of, value in values:
        family.add_metric(of, value)
    return family


def _recorded(recorded: Recorded) -> Iterator[Metric]:
    yield _executions(recorded.totals)
    yield _durations(recorded.totals)
    yield _last_executions(recorded.totals)
    yield from _cache(recorded.held)
    yield _gauge("backtest_jobs_open", "Jobs that did not end", [], [([], recorded.open_jobs)])
    busy = sum(worker.run_id is not None for worker in recorded.workers)
    workers: list[_Value] = [(["busy"], busy), (["idle"], len(recorded.workers) - busy)]
    yield _gauge("backtest_workers", "Processes that execute runs", ["state"], workers)


def _executions(totals: Iterable[Total]) -> Metric:
    by: Counter[tuple[str, str, str, str]] = Counter()
    for total in totals:
        by[total.key[:4]] += total.executions
    labels = ("strategy", "door", "outcome", "tier")
    family = CounterMetricFamily("backtest_executions", "Executions on record", labels=labels)
    for key, executions in sorted(by.items()):
        family.add_metric(key, executions)
    return family


def _durations(totals: Iterable[Total]) -> Metric:
    in_buckets: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0] * COUNT)
    sums_ms: Counter[tuple[str, str, str]] = Counter()
    for total in totals:
        key = (total.variant, total.door, total.outcome)
        in_buckets[key][total.bucket] += total.executions
        sums_ms[key] += total.sum_ms  # type: ignore[assignment]  # counters add any numbers
    labels = ("strategy", "door", "outcome")
    family = HistogramMetricFamily(
        "backtest_execution_duration_seconds", "Durations of the executions on record", labels=labels
    )
    for key, counts in sorted(in_buckets.items()):
        below = list(accumulate(counts))
        family.add_metric(key, [(limit, below[number]) for limit, number in _KEPT], sums_ms[key] / 1000)
    return family


def _last_executions(totals: Iterable[Total]) -> Metric:
    last: dict[str, datetime] = {}
    for total in totals:
        last[total.variant] = max(last.get(total.variant, total.last_started_at), total.last_started_at)
    return _gauge(
        "backtest_last_execution_timestamp_seconds",
        "When the last execution on record began, in seconds since 1970",
        ["strategy"],
        [([variant], started_at.timestamp()) for variant, started_at in sorted(last.items())],
    )


def _cache(held: Held) -> Iterator[Metric]:
    names = sorted({*held.entries, *(variant.name for variant in catalogue.variants())})
    entries: list[_Value] = [([name], held.entries.get(name, 0)) for name in names]
    yield _gauge("backtest_cache_entries", "Valid answers in the cache", ["strategy"], entries)
    for name, meaning, memory_mb in (
        ("backtest_cache_memory_bytes", "Memory that the Redis server uses", held.memory_used_mb),
        ("backtest_cache_memory_peak_bytes", "The most that it ever used", held.memory_peak_mb),
    ):
        yield _gauge(name, meaning, [], [([], round(memory_mb * _MIB))])


def _requests(reading: Reading) -> Iterator[Metric]:
    answered = CounterMetricFamily("backtest_http_requests", "Requests answered", labels=("method", "code"))
    for (method, status), requests in sorted(reading.requests.items(), key=str):
        answered.add_metric((method, str(status or "none")), requests)
    yield answered
    yield _gauge("backtest_http_requests_in_progress", "Requests under way", [], [([], reading.requests_under_way)])
