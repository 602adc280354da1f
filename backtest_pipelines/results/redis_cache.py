"""Answers in Redis (or Valkey), ready to send. A cache only: empty, full, slow or down, it fails nobody.

After a failure Redis is left alone for a growing pause, so that an outage costs one time-out now and then and
not one per call; it is logged once when it begins and once when it ends.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from backtest_pipelines.errors import BadRequestError

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

COUNTS_KEY: Final = "backtest:counts:v1"
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
_READ_SIZE_BYTES: Final = 256 * 1024  # of one system call: a typical answer in one or two


@dataclass(frozen=True)
class RedisSettings:
    """Where Redis is, and how much time and room it is given.

    Attributes
    ----------
    host, port, db : str, int, int
        Used when neither `url` nor `unix_socket` is given.
    url : str, optional
        ``redis://``, ``rediss://`` or ``unix://``; wins over all others. May hold a password: never shown.
    unix_socket : str, optional
        Path of a Unix socket; wins over host and port.
    ttl_s : int
        Seconds that an answer stays in Redis, 1 or more.
    connect_timeout_s, socket_timeout_s : float
        Seconds to wait for a connection, and for each reply.
    largest_value_bytes : int
        Larger answers are kept in files only.
    """

    host: str = "localhost"
    port: int = 6379
    db: int = 0
    url: str | None = field(default=None, repr=False)
    unix_socket: str | None = None
    ttl_s: int = 3600
    connect_timeout_s: float = 0.3
    socket_timeout_s: float = 0.5
    largest_value_bytes: int = 8 * 1024 * 1024

    def __post_init__(self) -> None:
        if self.url is not None and not _is_redis_url(self.url):
            limit = "it must be like redis://[user:password@]host:port/db, rediss://... or unix://path"
            raise BadRequestError("url", "(not shown)", limit)
        if not 1 <= self.port <= 65535:
            raise BadRequestError("port", self.port, "it must be from 1 to 65535")
        for name in ("ttl_s", "connect_timeout_s", "socket_timeout_s"):
            if getattr(self, name) <= 0:
                raise BadRequestError(name, getattr(self, name), "it must be more than 0 seconds")
        if self.db < 0:
            raise BadRequestError("db", self.db, "it must be 0 or more")


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port  # read here because reading it checks it
    except ValueError:
        return False
    return parts.scheme in {"redis", "rediss", "unix"} and port != 0


def key(fingerprint: str, variant: str, symbol: str) -> str:
    """Return the key of an answer; variant and symbol come first, so that a scan can select by them."""
    return f"backtest:answer:v1:{variant}:{symbol}:{fingerprint}"


class RedisCache:
    """The cache of answers in Redis. No method raises for anything that Redis does.

    Connects at the first use. Safe to share between threads.

    Parameters
    ----------
    settings : RedisSettings
    clock : Callable[[], float]
        Seconds that only grow; the pauses are measured with it.
    """

    def __init__(self, settings: RedisSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._client: Redis | None = None
        self._pause_s = 0.0
        self._next_attempt = 0.0
        self._state = 0  # grows with each failure and recovery: tells late news from new ones
        self._unsent: Counter[str] = Counter()

    def get(self, fingerprint: str, variant: str, symbol: str) -> bytes | None:
        """Return the bytes kept, not verified, or None when there are none or Redis is not available."""
        reply = self._ask("GET", key(fingerprint, variant, symbol))
        return reply if isinstance(reply, bytes) else None

    def put(self, fingerprint: str, variant: str, symbol: str, value: bytes) -> None:
        """Keep the bytes for the time to live, unless they are larger than the limit."""
        if len(value) <= self.settings.largest_value_bytes:
            self._ask("SET", key(fingerprint, variant, symbol), value, "EX", self.settings.ttl_s)

    def discard(self, fingerprint: str, variant: str, symbol: str) -> None:
        """Remove what is kept under the key."""
        self._ask("UNLINK", key(fingerprint, variant, symbol))

    def count(self, name: str) -> None:
        """Add one to the shared count of that name; it travels with the next call, or with `close`."""
        with self._lock:
            self._unsent[name] += 1

    def shared_counts(self) -> dict[str, int] | None:
        """Return the counts of all processes by name, or None when Redis is not available."""
        reply = self._ask("HGETALL", COUNTS_KEY)
        if not isinstance(reply, dict):
            return None
        return {name.decode(): int(number) for name, number in reply.items()}

    def close(self) -> None:
        """Send the counts that still wait and close the connections. A later use connects again."""
        if self._unsent:
            self._ask()
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ask(self, *command: str | bytes | int) -> object:
        """Send the waiting counts and a command, if any, in one round trip; return its reply or None."""
        state = self._enter()
        if state is None:
            return None
        import redis  # noqa: PLC0415 (late: it takes longer than a hit)

        with self._lock:
            counts, self._unsent = self._unsent, Counter()
        try:
            pipeline = self._connected().pipeline(transaction=False)
            for name, number in counts.items():
                pipeline.hincrby(COUNTS_KEY, name, number)
            if command:
                pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
            replies = pipeline.execute()
        except (redis.RedisError, OSError, ValueError, TypeError) as error:  # the last two: bad URL options
            self._failed(state, error)
            if not isinstance(error, redis.TimeoutError):
                # After a time-out they may have arrived all the same: rather lost than counted twice.
                with self._lock:
                    self._unsent.update(counts)
            return None
        self._succeeded(state)
        return replies[-1] if command else None

    def _connected(self) -> Redis:
        from redis import Redis  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        with self._lock:
            if self._client is None:
                settings = self.settings
                options: dict[str, Any] = {
                    "socket_connect_timeout": settings.connect_timeout_s,
                    "socket_timeout": settings.socket_timeout_s,
                    "socket_read_size": _READ_SIZE_BYTES,
                    "retry": Retry(NoBackoff(), 0),
                }
                if settings.url is not None:
                    self._client = Redis.from_url(settings.url, **options)
                elif settings.unix_socket is not None:
                    self._client = Redis(unix_socket_path=settings.unix_socket, db=settings.db, **options)
                else:
                    self._client = Redis(settings.host, settings.port, settings.db, **options)
            return self._client

    def _enter(self) -> int | None:
        """Return the state that the call begins in, or None while Redis is left alone."""
        with self._lock:
            if self._pause_s:
                now = self._clock()
                if now < self._next_attempt:
                    return None
                self._next_attempt = now + self._pause_s  # others stay away while this call tries
            return self._state

    def _failed(self, state: int, error: Exception) -> None:
        with self._lock:
            if state != self._state:
                return
            begins = not self._pause_s
            self._pause_s = FIRST_PAUSE_S if begins else min(2 * self._pause_s, LONGEST_PAUSE_S)
            self._next_attempt = self._clock() + self._pause_s
            self._state += 1
        if begins:
            logger.warning("Redis cache not available: %s; answers come from files meanwhile", error)

    def _succeeded(self, state: int) -> None:
        if not self._pause_s:
            return
        with self._lock:
            if state != self._state:
                return
            self._pause_s = 0.0
            self._state += 1
        logger.info("Redis cache available again")
