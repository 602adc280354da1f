"""Where answers are looked up and kept: Redis first, then files, every byte verified before it is served."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from backtest_pipelines.errors import BugError
from backtest_pipelines.results.codec import CorruptAnswerError, verify
from backtest_pipelines.results.files import AnswerFiles
from backtest_pipelines.results.redis_cache import RedisCache

logger = logging.getLogger(__name__)

Tier = Literal["redis", "file"]


@dataclass(frozen=True)
class Found:
    """The verified bytes of an answer, and the tier that had them."""

    bytes: bytes
    tier: Tier


class AnswerStore:
    """Answers in files, with Redis in front of them.

    Parameters
    ----------
    files : AnswerFiles
        The truth.
    cache : RedisCache, optional
        Without one, files alone answer.
    """

    def __init__(self, files: AnswerFiles, cache: RedisCache | None = None) -> None:
        self.files = files
        self.cache = cache
        self._lock = threading.Lock()
        self._counts: dict[str, Counter[str]] = {}

    def look_up(self, fingerprint: str, variant: str, symbol: str) -> Found | None:
        """Return the answer and its tier, or None when it must be computed.

        Damaged bytes are a miss with a warning. What is found in a file is put into Redis. Counts a hit or
        a miss.

        Raises
        ------
        UnavailableError
            If the file cannot be read. Redis being unavailable is no error.
        """
        found = self._in_redis(fingerprint, variant, symbol) or self._in_files(fingerprint)
        self._count(variant, found.tier if found else "miss")
        if found and found.tier == "file" and self.cache:
            self.cache.put(fingerprint, variant, symbol, found.bytes)
        return found

    def keep(self, fingerprint: str, variant: str, symbol: str, value: bytes) -> None:
        """Keep the bytes of an answer in its file, then in Redis.

        Raises
        ------
        BugError
            If the bytes are not those of this answer.
        UnavailableError
            If the file cannot be written; Redis is left as it is.
        """
        try:
            verify(value, fingerprint)
        except CorruptAnswerError as error:
            raise BugError(f"these bytes must not be kept: {error}") from error
        self.files.write(fingerprint, value)
        if self.cache:
            self.cache.put(fingerprint, variant, symbol, value)

    def holds(self, fingerprint: str) -> bool:
        """Return whether an undamaged file has the answer. Counts nothing.

        Raises
        ------
        UnavailableError
            If the file cannot be read.
        """
        return self._in_files(fingerprint) is not None

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the look-ups of this process by variant, then by "redis", "file" or "miss"."""
        with self._lock:
            return {variant: dict(counter) for variant, counter in self._counts.items()}

    def shared_counts(self) -> dict[str, dict[str, int]] | None:
        """Return the same of all processes that share the Redis, or None when it is not available."""
        flat = self.cache.shared_counts() if self.cache else None
        if flat is None:
            return None
        counts: dict[str, dict[str, int]] = {}
        for name, number in flat.items():
            variant, _, outcome = name.rpartition(":")
            counts.setdefault(variant, {})[outcome] = number
        return counts

    def close(self) -> None:
        """Send the last counts and close the connections."""
        if self.cache:
            self.cache.close()

    def _in_redis(self, fingerprint: str, variant: str, symbol: str) -> Found | None:
        value = self.cache.get(fingerprint, variant, symbol) if self.cache else None
        if value is None:
            return None
        try:
            verify(value, fingerprint)
        except CorruptAnswerError as error:
            logger.warning("damaged answer in Redis, removed: %s", error)
            if self.cache:
                self.cache.discard(fingerprint, variant, symbol)
            return None
        return Found(value, "redis")

    def _in_files(self, fingerprint: str) -> Found | None:
        try:
            value = self.files.read(fingerprint)
        except CorruptAnswerError as error:
            logger.warning("damaged answer file %s, treated as absent: %s", self.files.path(fingerprint), error)
            return None
        return None if value is None else Found(value, "file")

    def _count(self, variant: str, outcome: str) -> None:
        with self._lock:
            self._counts.setdefault(variant, Counter())[outcome] += 1
        if self.cache:
            self.cache.count(f"{variant}:{outcome}")
