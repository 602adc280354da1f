"""Where answers are looked up and kept: Redis first, then files, every byte verified before it is served.

An invalidation is a stamp: what was kept until then is a miss. Every copy carries the time at which its answer was
kept, so that one which is put into Redis late, or outlives an outage there, is no less a miss than its file.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from backtest_pipelines.errors import BugError, UnavailableError
from backtest_pipelines.results.codec import CorruptAnswerError, verify
from backtest_pipelines.results.files import AnswerFiles, FileEntry
from backtest_pipelines.results.redis_cache import ANSWER, Entry, RedisCache, Reply, key
from backtest_pipelines.results.sealed import seal, unseal

logger = logging.getLogger(__name__)

STAMP_AGE_S: Final = 1.0
"""For so long a stamp is believed that was read before, unless Redis tells of a new invalidation."""

Tier = Literal["redis", "file"]
Place: TypeAlias = tuple[str, str, str]
"""Fingerprint, variant and symbol of an answer."""


class Stamps(Protocol):
    """Since when answers are valid, and the clock by which that is told."""

    def now_s(self) -> float:
        """Return the time, in seconds since 1970."""

    def before_s(self, variant: str, symbol: str) -> float:
        """Return the time until which what was kept is a miss; 0 where nothing was ever invalidated."""


@dataclass(frozen=True)
class Found:
    """An answer that was looked up.

    Attributes
    ----------
    bytes : bytes
        Verified.
    tier : Tier
        Where it was.
    kept_s : float
        When it was kept, in seconds since 1970.
    """

    bytes: bytes
    tier: Tier
    kept_s: float


class _Known(NamedTuple):
    before_s: float
    generation: bytes | None
    read_s: float


class AnswerStore:
    """Answers in files, with Redis in front of them, and renderings of them in Redis alone.

    Parameters
    ----------
    files : AnswerFiles
        The truth.
    stamps : Stamps
    cache : RedisCache, optional
        Without one, files alone answer.
    clock : Callable[[], float]
        Seconds that only grow; the age of what is known of stamps is measured with it.
    """

    def __init__(
        self,
        files: AnswerFiles,
        stamps: Stamps,
        cache: RedisCache | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.files = files
        self.cache = cache
        self._stamps = stamps
        self._clock = clock
        self._known: dict[tuple[str, str], _Known] = {}

    def look_up(self, fingerprint: str, variant: str, symbol: str) -> Found | None:
        """Return the answer and its tier, or None when it must be computed.

        Damaged bytes are a miss with a warning. What is found in a file is put into Redis.

        Raises
        ------
        UnavailableError
            If the file or the stamps cannot be read. Redis being unavailable is no error.
        """
        name = key(fingerprint, variant, symbol)
        reply = None if self.cache is None else self.cache.get(name)
        cached = self._valid(reply, name, ANSWER, variant, symbol)
        if cached is not None:
            kept_s, value = cached
            return Found(value, "redis", kept_s)
        try:
            found = self.look_up_file(fingerprint, variant, symbol)
        except CorruptAnswerError as error:
            self.files.warn_of_damage(fingerprint, error)
            return None
        if found is not None and reply is not None:  # or two time-outs would make one look-up slow
            self._put(name, found.bytes, found.kept_s)
        return found

    def look_up_file(self, fingerprint: str, variant: str, symbol: str) -> Found | None:
        """Return the answer from its file, or None where it is missing or invalidated.

        Raises
        ------
        CorruptAnswerError
            If the file is damaged.
        UnavailableError
            If the file or the stamps cannot be read.
        """
        found = self.files.read_with_time(fingerprint)
        if found is None:
            return None
        value, kept_s = found
        return Found(value, "file", kept_s) if kept_s > self._stamps.before_s(variant, symbol) else None

    def keep(self, fingerprint: str, variant: str, symbol: str, value: bytes) -> float:
        """Keep the bytes of an answer in its file, then in Redis; return the time since when it is kept.

        Raises
        ------
        BugError
            If the bytes are not those of this answer.
        UnavailableError
            If the file cannot be written, or the time is not known; Redis is left as it is.
        """
        try:
            verify(value, fingerprint)
        except CorruptAnswerError as error:
            raise BugError(f"these bytes must not be kept: {error}") from error
        kept_s = self._stamps.now_s()
        self.files.write(fingerprint, value, kept_s)
        self._put(key(fingerprint, variant, symbol), value, kept_s)
        return kept_s

    def look_up_renderings(self, places: Sequence[Place], kind: str) -> list[bytes | None]:
        """Return renderings of valid answers, or None where they must be made, for one question to Redis.

        Raises
        ------
        UnavailableError
            If the stamps cannot be read. Redis being unavailable is no error.
        """
        names = [key(*place, kind) for place in places]
        replies = None if self.cache is None or not names else self.cache.get_all(names)
        if replies is None:
            return [None] * len(places)
        found = []
        for (_, variant, symbol), name, reply in zip(places, names, replies, strict=True):
            cached = self._valid(reply, name, kind, variant, symbol)
            found.append(None if cached is None else cached[1])
        return found

    def keep_rendering(
        self, fingerprint: str, variant: str, symbol: str, kind: str, value: bytes, *, kept_s: float
    ) -> None:
        """Keep a rendering of an answer in Redis, for as long as an answer stays there.

        Parameters
        ----------
        fingerprint, variant, symbol : str
            Of the answer.
        kind : str
            What it is rendered as, such as "json"; without a colon, and not "answer".
        value : bytes
        kept_s : float
            When the answer itself was kept: what invalidates it invalidates the rendering.
        """
        self._put(key(fingerprint, variant, symbol, kind), value, kept_s)

    def read(self, fingerprint: str) -> bytes | None:
        """Return the bytes of an answer that was given once, invalidated since or not; None where it is not kept.

        Damaged bytes are not kept, with a warning.

        Raises
        ------
        UnavailableError
            If the file cannot be read.
        """
        return self.files.read_whole(fingerprint)

    def purge(self, variant: str | None = None, symbol: str | None = None) -> int:
        """Remove from Redis what is invalidated by now, answers and renderings; return how many answers.

        Parameters
        ----------
        variant, symbol : str, optional
            Look at those alone.

        Raises
        ------
        UnavailableError
            If Redis is not available, or the stamps cannot be read.
        """
        self._known = {}  # a new one: who is just reading an older stamp writes it into the one before
        cache = self._required_cache()
        cache.renew_generation()
        before_s = _Remembered(self._stamps)
        removed = 0
        for batch in cache.entries(None, variant, symbol):
            stale = [entry for entry in batch if entry.kept_s <= before_s(entry.variant, entry.symbol)]
            removed += cache.remove([entry.key for entry in stale if entry.kind == ANSWER])
            cache.remove([entry.key for entry in stale if entry.kind != ANSWER])
        return removed

    def cached_answers(self) -> Counter[str]:
        """Return the number of valid answers in Redis by variant.

        Raises
        ------
        UnavailableError
            If Redis is not available, or the stamps cannot be read.
        """
        before_s = _Remembered(self._stamps)
        found: dict[str, Entry] = {
            entry.key: entry
            for batch in self._required_cache().entries(ANSWER)
            for entry in batch
            if entry.kept_s > before_s(entry.variant, entry.symbol)
        }
        return Counter(entry.variant for entry in found.values())

    def valid_files(self) -> Iterator[FileEntry]:
        """Yield the answer files that are not invalidated. Their checksums are not looked at.

        Raises
        ------
        UnavailableError
            If the stamps cannot be read.
        """
        before_s = _Remembered(self._stamps)
        for entry in self.files.entries():
            if entry.kept_s > before_s(entry.variant, entry.symbol):
                yield entry

    def close(self) -> None:
        """Close the connections."""
        if self.cache:
            self.cache.close()

    def _valid(
        self, reply: Reply | None, name: str, kind: str, variant: str, symbol: str
    ) -> tuple[float, bytes] | None:
        """Return the time and the value of a reply; what is damaged or invalidated is removed."""
        if self.cache is None or reply is None or reply.sealed is None:
            return None
        try:
            kept_s, value = unseal(name, reply.sealed)
        except CorruptAnswerError as error:
            logger.warning("damaged %s in Redis, removed: %s", kind, error)
        else:
            if kept_s > self._lately_before_s(variant, symbol, reply.generation):
                return kept_s, value
        self.cache.discard(name)
        return None

    def _put(self, name: str, value: bytes, kept_s: float) -> None:
        if self.cache is not None:
            self.cache.put(name, seal(name, kept_s, value))

    def _lately_before_s(self, variant: str, symbol: str, generation: bytes | None) -> float:
        """Return a stamp, which is not read again for each hit.

        The generation, which came with the value, is another one after an invalidation: so this is exact, unless
        Redis did not hear of the invalidation.
        """
        now_s, stamps = self._clock(), self._known
        known = stamps.get((variant, symbol))
        if known is None or known.generation != generation or now_s - known.read_s > STAMP_AGE_S:
            known = _Known(self._stamps.before_s(variant, symbol), generation, now_s)
            stamps[variant, symbol] = known
        return known.before_s

    def _required_cache(self) -> RedisCache:
        if self.cache is None:
            raise UnavailableError("no Redis is configured")
        return self.cache


class _Remembered:
    """The stamps, each read once."""

    def __init__(self, stamps: Stamps) -> None:
        self._stamps = stamps
        self._known: dict[tuple[str, str], float] = {}

    def __call__(self, variant: str, symbol: str) -> float:
        if (variant, symbol) not in self._known:
            self._known[variant, symbol] = self._stamps.before_s(variant, symbol)
        return self._known[variant, symbol]
