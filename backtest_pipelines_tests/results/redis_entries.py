"""The entry of Redis that the tests of the cache keep, and the first look at it."""

from __future__ import annotations

from backtest_pipelines.results.redis_cache import RedisCache, Reply, key

NAME = key("ab" * 32, "covered_call", "NIFTY")
OTHER = key("cd" * 32, "covered_call", "NIFTY")
NOTHING = Reply(None, None)


def got(cache: RedisCache, name: str = NAME) -> bytes | None:
    reply = cache.get(name)
    assert reply is not None, "Redis is not available"
    return reply.sealed
