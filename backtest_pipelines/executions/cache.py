"""The cache as its users see it: what it holds, whether it answers, and how a part of it is invalidated."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from backtest_pipelines.errors import BadRequestError, UnavailableError
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.invalidations import Invalidations
from backtest_pipelines.records.metrics import by_variant
from backtest_pipelines.records.totals import read_totals
from backtest_pipelines.results.store import AnswerStore
from backtest_pipelines.strategies import catalogue
from backtest_pipelines.strategies.question import check_symbol


@dataclass(frozen=True, slots=True)
class VariantCacheStats:
    """The cache of one variant.

    Attributes
    ----------
    cached_entries, total_hits : int
        See `CacheStats`.
    """

    cached_entries: int
    total_hits: int


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What the cache holds, and how often it helped.

    Attributes
    ----------
    total_cached_entries : int
        Valid answers in Redis; without Redis, valid answer files.
    total_cache_hits, total_cache_misses : int
        Executions on record whose answer was found, and those that computed it.
    memory_used_mb, memory_peak_mb : float
        Of the Redis server, in MiB; 0 without Redis.
    by_variant : Mapping of str to VariantCacheStats
        Each variant that has entries or executions.
    """

    total_cached_entries: int
    total_cache_hits: int
    total_cache_misses: int
    memory_used_mb: float
    memory_peak_mb: float
    by_variant: Mapping[str, VariantCacheStats]


@dataclass(frozen=True, slots=True)
class Held:
    """What the cache holds.

    Attributes
    ----------
    entries : Mapping of str to int
        By variant; see `CacheStats`.
    memory_used_mb, memory_peak_mb : float
        See `CacheStats`.
    """

    entries: Mapping[str, int]
    memory_used_mb: float
    memory_peak_mb: float

    @property
    def total_entries(self) -> int:
        """Of all variants."""
        return sum(self.entries.values())


@dataclass(frozen=True, slots=True)
class CacheHealth:
    """Whether Redis answers within the time that a look-up has.

    Attributes
    ----------
    status : {"healthy", "unavailable"}
    latency_ms : float or None
        Of one question; None where it is not available.
    version : str or None
        Name and version of the server.
    """

    status: Literal["healthy", "unavailable"]
    latency_ms: float | None
    version: str | None

    @property
    def available(self) -> bool:
        """Whether it answers."""
        return self.status == "healthy"


class CacheControl:
    """What can be asked of the cache, and done to it.

    Parameters
    ----------
    answers : AnswerStore
    invalidations : Invalidations
        Those that `answers` obeys.
    database : Database
        Of the executions.
    """

    def __init__(self, answers: AnswerStore, invalidations: Invalidations, database: Database) -> None:
        self._answers = answers
        self._invalidations = invalidations
        self._database = database

    def invalidate(
        self, variant: str | None = None, symbol: str | None = None, older_than_s: float | None = None
    ) -> int:
        """Make misses of the answers that were kept until now; return how many entries that concerned.

        No file is deleted: what was given once can still be read by its fingerprint. It holds at once for every
        process, also for entries of a Redis that is not available now; only a process that reaches a Redis which this
        one does not may go on for a second.

        Parameters
        ----------
        variant, symbol : str, optional
            Only of those.
        older_than_s : float, optional
            Only those of more than this age, in seconds, 0 or more.

        Returns
        -------
        int
            Answers that were removed from Redis; where it is not available, valid files that became misses.

        Raises
        ------
        BadRequestError
            Naming what is unknown or out of range; nothing was invalidated.
        UnavailableError
            If the database does not answer; nothing was invalidated.
        """
        _check(variant, symbol, older_than_s)
        files = [] if self.health().available else list(self._answers.valid_files())
        self._invalidations.stamp(variant, symbol, older_than_s or 0.0)
        try:
            return self._answers.purge(variant, symbol)
        except UnavailableError:
            still_valid = Counter(self._answers.valid_files())
            return (Counter(files) - still_valid).total()

    def stats(self) -> CacheStats:
        """Return what the cache holds now, and how often it helped. It takes as long as `held`.

        Raises
        ------
        UnavailableError
            If the database does not answer.
        """
        held = self.held()
        asked = {
            name: each.counts for name, each in by_variant(read_totals(self._database)).items() if each.counts.completed
        }
        return CacheStats(
            total_cached_entries=held.total_entries,
            total_cache_hits=sum(counts.hits for counts in asked.values()),
            total_cache_misses=sum(counts.misses for counts in asked.values()),
            memory_used_mb=held.memory_used_mb,
            memory_peak_mb=held.memory_peak_mb,
            by_variant={
                name: VariantCacheStats(held.entries.get(name, 0), asked[name].hits if name in asked else 0)
                for name in sorted({*held.entries, *asked})
            },
        )

    def held(self) -> Held:
        """Return what the cache holds now. It takes a millisecond, and two more for each hundred entries.

        Raises
        ------
        UnavailableError
            If the database does not answer.
        """
        used_mb = peak_mb = 0.0
        try:
            entries = self._answers.cached_answers()
            if self._answers.cache is not None:
                used_mb, peak_mb = self._answers.cache.memory_mb()
        except UnavailableError:
            entries = Counter(entry.variant for entry in self._answers.valid_files())
        return Held(entries, used_mb, peak_mb)

    def health(self) -> CacheHealth:
        """Return whether Redis answers now, as a look-up would find it."""
        if self._answers.cache is not None:
            with suppress(UnavailableError):
                version, latency_ms = self._answers.cache.version()
                return CacheHealth("healthy", latency_ms, version)
        return CacheHealth("unavailable", None, None)


def _check(variant: str | None, symbol: str | None, older_than_s: float | None) -> None:
    if variant is not None:
        catalogue.variant(variant)
    if symbol is not None:
        check_symbol(symbol)
    if older_than_s is not None and not (math.isfinite(older_than_s) and older_than_s >= 0):
        raise BadRequestError("older_than_s", older_than_s, "allowed: 0 seconds or more")
