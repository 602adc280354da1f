"""Answers and their renderings in Redis (or Valkey), ready to send.

A cache only: empty, full, slow or down, it fails nobody. Each step of a look-up has its time; what does not answer in
it is left alone by a breaker, which is logged once when it opens and once when it closes.
"""

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar
from urllib.parse import urlsplit

from backtest_pipelines.errors import BadRequestError, UnavailableError
from backtest_pipelines.results.breaker import Breaker
from backtest_pipelines.results.sealed import TIME_BYTES, kept_s_in

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

T = TypeVar("T")

ANSWER: Final = "answer"
"""The kind of the answers themselves; every other kind is a rendering."""
GENERATION_KEY: Final = "backtest:generation:v2"
_LAYOUT: Final = "v2"
_BATCH: Final = 1000  # keys of one reply: a millisecond of the server's time
_READ_SIZE_BYTES: Final = 64 * 1024  # of one system call: for a larger buffer memory is mapped each time
_NO_LIMIT: Final = 2**31 - 1  # of connections: there are as many as threads that ask at the same time
_MB: Final = 1024 * 1024


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
    timeout_s : float
        Seconds that a connection, and each reply, may take when an answer is looked up or kept.
    upkeep_timeout_s : float
        The same for what no answer waits for: counting and invalidating entries.
    largest_value_bytes : int
        Larger answers are kept in files only, from which they come in the same time.
    """

    host: str = "localhost"
    port: int = 6379
    db: int = 0
    url: str | None = field(default=None, repr=False)
    unix_socket: str | None = None
    ttl_s: int = 3600
    timeout_s: float = 0.02
    upkeep_timeout_s: float = 1.0
    largest_value_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        if self.url is not None and not _is_redis_url(self.url):
            limit = "it must be like redis://[user:password@]host:port/db, rediss://... or unix://path"
            raise BadRequestError("url", "(not shown)", limit)
        if not 1 <= self.port <= 65535:
            raise BadRequestError("port", self.port, "it must be from 1 to 65535")
        for name in ("ttl_s", "timeout_s", "upkeep_timeout_s"):
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


def key(fingerprint: str, variant: str, symbol: str, kind: str = ANSWER) -> str:
    """Return the key of an answer, or of a rendering of it.

    Variant and symbol come before the fingerprint, so that a scan can select by them.
    """
    return f"backtest:{kind}:{_LAYOUT}:{variant}:{symbol}:{fingerprint}"


class Reply(NamedTuple):
    """What Redis has under a key, and its generation at the same moment.

    Attributes
    ----------
    sealed : bytes or None
        The value, not verified.
    generation : bytes or None
        Another one after each invalidation that Redis heard of.
    """

    sealed: bytes | None
    generation: bytes | None


class Entry(NamedTuple):
    """An answer or a rendering that Redis holds.

    Attributes
    ----------
    key, kind, variant, symbol : str
    kept_s : float
        When the answer was kept, in seconds since 1970.
    """

    key: str
    kind: str
    variant: str
    symbol: str
    kept_s: float


class RedisCache:
    """The cache in Redis. Connects at the first use. Safe to share between threads.

    Looking up and keeping never raise for anything that Redis does. Upkeep raises UnavailableError.

    Parameters
    ----------
    settings : RedisSettings
    clock : Callable[[], float]
        Seconds that only grow; the breaker's.
    """

    def __init__(self, settings: RedisSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self._breaker = Breaker(clock)
        self._lock = threading.Lock()
        self._clients: dict[float, Redis] = {}
        self._refused: set[str] = set()  # commands, such as SET while Redis is full

    def get(self, name: str) -> Reply | None:
        """Return what Redis has under a key, or None where it is not available."""
        replies = self.get_all((name,))
        return None if replies is None else replies[0]

    def get_all(self, names: Sequence[str]) -> list[Reply] | None:
        """Return what Redis has under each of some keys, asked once, or None where it is not available."""
        try:
            *values, generation = self._answer("MGET", *names, GENERATION_KEY)
        except UnavailableError:
            return None
        return [Reply(value, generation) for value in values]

    def put(self, name: str, sealed: bytes) -> None:
        """Keep a sealed value for the time to live, unless it is larger than the limit."""
        if len(sealed) <= self.settings.largest_value_bytes:
            self._quietly("SET", name, sealed, "EX", self.settings.ttl_s)

    def discard(self, name: str) -> None:
        """Remove what is kept under the key."""
        self._quietly("UNLINK", name)

    def renew_generation(self) -> None:
        """Let every process that looks up learn that there is a new invalidation."""
        self._quietly("SET", GENERATION_KEY, uuid.uuid4().hex)

    def entries(
        self, kind: str | None = None, variant: str | None = None, symbol: str | None = None
    ) -> Iterator[list[Entry]]:
        """Yield what is in Redis, in batches; an entry may come twice, one put meanwhile not at all.

        Parameters
        ----------
        kind, variant, symbol : str, optional
            Only those.

        Raises
        ------
        UnavailableError
            If Redis is not available, or goes away meanwhile.
        """
        parts = (part and _escaped(part) for part in (kind, _LAYOUT, variant, symbol))
        pattern = f"backtest:{':'.join(part or '*' for part in parts)}:*"
        cursor, names = self._page(0, pattern)
        while True:
            if names:
                yield self._described(names)
            if cursor == 0:
                return
            cursor, names = self._page(cursor, pattern)

    def remove(self, names: Sequence[str]) -> int:
        """Remove keys, in the background of the server; return how many there were.

        Raises
        ------
        UnavailableError
            If Redis is not available.
        """
        return self._upkeep("UNLINK", lambda client: client.unlink(*names)) if names else 0

    def memory_mb(self) -> tuple[float, float]:
        """Return the memory that the server uses, and the most it ever used, in MiB.

        Raises
        ------
        UnavailableError
            If Redis is not available.
        """
        memory = self._upkeep("INFO", lambda client: client.info("memory"))
        return memory["used_memory"] / _MB, memory["used_memory_peak"] / _MB

    def version(self) -> tuple[str, float]:
        """Return name and version of the server, and how long it took to say so, in ms; within a look-up's time.

        Raises
        ------
        UnavailableError
            If Redis is not available.
        """

        def ask(client: Redis) -> tuple[dict[str, Any], float]:
            begun = time.perf_counter()
            server = client.info("server")
            return server, (time.perf_counter() - begun) * 1000

        server, latency_ms = self._call("INFO", ask, self.settings.timeout_s)
        name = server.get("server_name", "redis")
        return f"{name} {server.get(f'{name}_version', server['redis_version'])}", latency_ms

    def close(self) -> None:
        """Close the connections. A later use connects again."""
        with self._lock:
            clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()

    def _page(self, cursor: int, pattern: str) -> tuple[int, list[str]]:
        following, names = self._upkeep("SCAN", lambda client: client.scan(cursor, pattern, _BATCH))
        return following, [name.decode() for name in names]

    def _described(self, names: list[str]) -> list[Entry]:
        def times(client: Redis) -> list[object]:
            pipeline = client.pipeline(transaction=False)
            for name in names:
                pipeline.getrange(name, *TIME_BYTES)
            return pipeline.execute(raise_on_error=False)

        found = []
        for name, kept in zip(names, self._upkeep("GETRANGE", times), strict=True):
            _, kind, _, rest = name.split(":", 3)
            variant, symbol, _ = rest.rsplit(":", 2)
            found.append(Entry(name, kind, variant, symbol, kept_s_in(kept) if isinstance(kept, bytes) else 0.0))
        return found

    def _quietly(self, *command: str | bytes | int) -> None:
        try:
            self._answer(*command)
        except UnavailableError:
            return

    def _answer(self, *command: str | bytes | int) -> Any:  # noqa: ANN401 - each command has its own
        def send(client: Redis) -> Any:  # noqa: ANN401
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

        return self._call(str(command[0]), send, self.settings.timeout_s)

    def _upkeep(self, command: str, work: Callable[[Redis], Any]) -> Any:  # noqa: ANN401 - each command has its own
        return self._call(command, work, self.settings.upkeep_timeout_s)

    def _call(self, command: str, work: Callable[[Redis], T], timeout_s: float) -> T:
        """Return what the work returns.

        Raises
        ------
        UnavailableError
            If the breaker is open, Redis does not answer in time, or it refuses the command.
        """
        state = self._breaker.enter()
        if state is None:
            raise UnavailableError("Redis did not answer just now and is left alone for a second")
        import redis  # noqa: PLC0415 (late: it takes longer than a hit)

        try:
            value = work(self._connected(timeout_s))
        except redis.ResponseError as error:
            # It answers, such as that it is full: others of its services are as good as before.
            self._answered(state)
            self._note_refusal(command, error)
            raise UnavailableError(f"Redis refuses {command}: {error}") from error
        except (redis.RedisError, OSError, ValueError, TypeError) as error:  # the last two: bad URL options
            if self._breaker.failed(state):
                logger.warning("Redis cache not available: %s; answers come from files meanwhile", error)
            raise UnavailableError(f"Redis is not available: {error}") from error
        self._answered(state)
        if command in self._refused:
            self._refused.discard(command)
            logger.info("Redis cache carries out %s again", command)
        return value

    def _answered(self, state: int) -> None:
        if self._breaker.succeeded(state):
            logger.info("Redis cache available again")

    def _note_refusal(self, command: str, error: Exception) -> None:
        with self._lock:
            is_new = command not in self._refused
            self._refused.add(command)
        if is_new:
            logger.warning("Redis cache refuses %s: %s; answers come from files meanwhile", command, error)

    def _connected(self, timeout_s: float) -> Redis:
        with self._lock:
            client = self._clients.get(timeout_s)
            if client is None:
                client = self._clients[timeout_s] = _client(self.settings, timeout_s)
            return client


def _client(settings: RedisSettings, timeout_s: float) -> Redis:
    from redis import Redis  # noqa: PLC0415
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    options: dict[str, Any] = {
        "socket_connect_timeout": timeout_s,
        "socket_timeout": timeout_s,
        "socket_read_size": _READ_SIZE_BYTES,
        "max_connections": _NO_LIMIT,
        "retry": Retry(NoBackoff(), 0),
        # Nothing is asked of a new connection, or each question would take a part of the time: neither HELLO nor
        # CLIENT SETINFO. With protocol 3 a connection that holds a late reply would also be used again.
        "protocol": 2,
        "driver_info": None,
    }
    if settings.url is not None:
        return Redis.from_url(settings.url, **options)
    if settings.unix_socket is not None:
        return Redis(unix_socket_path=settings.unix_socket, db=settings.db, **options)
    return Redis(settings.host, settings.port, settings.db, **options)


def _escaped(text: str) -> str:
    """Return a pattern that matches the text alone."""
    return re.sub(r"([*?\[\]\\^-])", r"\\\1", text)
