"""What the cache keeps in a real Valkey, and how it is found."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator

import pytest

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.results.redis_cache import ANSWER, Entry, RedisCache, RedisSettings, key
from backtest_pipelines.results.sealed import seal
from backtest_pipelines_tests.ports import free_port
from backtest_pipelines_tests.results.redis_entries import NAME, NOTHING, OTHER, got
from backtest_pipelines_tests.servers import ValkeyServer


@pytest.fixture
def cache(valkey: ValkeyServer) -> Iterator[RedisCache]:
    cache = RedisCache(valkey.settings)
    yield cache
    cache.close()


def test_what_is_put_is_got_byte_for_byte_and_by_its_key_alone(cache: RedisCache) -> None:
    everything = bytes(range(256)) * 1000 + b"\r\n"
    cache.put(NAME, everything)
    assert got(cache) == everything
    assert cache.get(OTHER) == NOTHING


def test_every_entry_has_a_time_to_live_and_a_key_by_variant_and_symbol(valkey: ValkeyServer) -> None:
    cache = RedisCache(dataclasses.replace(valkey.settings, ttl_s=77))
    cache.put(NAME, b"bytes")
    cache.put(key("ab" * 32, "covered_call", "NIFTY", "json"), b"bytes")
    cache.close()
    with valkey.client() as client:
        assert sorted(client.keys("*")) == [
            f"backtest:{kind}:v2:covered_call:NIFTY:{'ab' * 32}".encode() for kind in ("answer", "json")
        ]
        assert 75 <= client.ttl(NAME) <= 77


def test_a_value_above_the_limit_is_not_sent(valkey: ValkeyServer) -> None:
    cache = RedisCache(dataclasses.replace(valkey.settings, largest_value_bytes=10))
    cache.put(NAME, b"x" * 11)
    assert cache.get(NAME) == NOTHING
    cache.put(NAME, b"x" * 10)
    assert got(cache) == b"x" * 10
    cache.close()


def test_a_discarded_value_is_gone(cache: RedisCache) -> None:
    cache.put(NAME, b"bytes")
    cache.discard(NAME)
    assert cache.get(NAME) == NOTHING


def test_a_value_comes_with_the_generation_which_never_repeats(cache: RedisCache) -> None:
    cache.put(NAME, b"bytes")
    replies = [cache.get(NAME)]
    for _ in range(3):
        cache.renew_generation()
        replies.append(cache.get(NAME))
    assert [reply and reply.sealed for reply in replies] == [b"bytes"] * 4
    assert len({reply and reply.generation for reply in replies}) == 4


def test_entries_are_found_by_kind_variant_and_symbol_with_their_time(cache: RedisCache, valkey: ValkeyServer) -> None:
    cache.renew_generation()
    with valkey.client() as client:
        client.set("celery", b"not ours")
    expected = set()
    strange = "a*b?[c]\\d^-e"
    for kind in (ANSWER, "json"):
        for variant in ("one", "two", strange, "axb?[c]\\d^-e"):
            for symbol in ("NIFTY", "BANKNIFTY"):
                name = key("ab" * 32, variant, symbol, kind)
                cache.put(name, seal(name, 1764068400.25, b"value"))
                expected.add(Entry(name, kind, variant, symbol, 1764068400.25))

    def found(*selected: str | None) -> set[Entry]:
        return {entry for batch in cache.entries(*selected) for entry in batch}

    assert found() == expected
    assert found(ANSWER) == {entry for entry in expected if entry.kind == ANSWER}
    assert found(None, strange) == {entry for entry in expected if entry.variant == strange}
    assert found(None, None, "NIFTY") == {entry for entry in expected if entry.symbol == "NIFTY"}
    assert found("json", "one", "NIFTY") == {
        Entry(key("ab" * 32, "one", "NIFTY", "json"), "json", "one", "NIFTY", 1764068400.25)
    }
    assert found(None, "on") == set()


def test_entries_of_many_batches_are_all_found_and_removed(cache: RedisCache, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(5000):
            pipeline.set(key(f"{number:064}", "covered_call", "NIFTY"), b"x")
        pipeline.execute()
        batches = list(cache.entries())
        assert len(batches) > 1
        names = [entry.key for batch in batches for entry in batch]
        assert len(set(names)) == 5000
        assert {entry.kept_s for batch in batches for entry in batch} == {0.0}  # no time in it
        assert cache.remove(names[:2000]) == 2000
        assert cache.remove(names[:2000]) == 0
        assert cache.remove([]) == 0
        assert client.dbsize() == 3000


def test_memory_and_version_are_those_of_the_server(cache: RedisCache, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        version = client.info("server")["valkey_version"]
        client.set("large", b"x" * 8 * 1024 * 1024)
        used_mb, peak_mb = cache.memory_mb()
    assert 8 < used_mb <= peak_mb < 100
    name, latency_ms = cache.version()
    assert name == f"valkey {version}"
    assert 0 < latency_ms < 5000


@pytest.mark.parametrize("kind", ["port", "url", "unix_url"])
def test_it_connects_by_port_and_by_url_too(kind: str) -> None:
    port = 0 if kind == "unix_url" else free_port()
    with ValkeyServer(port) as server:
        server.start()
        if kind == "port":
            settings = dataclasses.replace(server.settings, db=3)
        else:
            url = f"redis://127.0.0.1:{port}/3" if port else f"unix://{server.socket}?db=3"
            settings = RedisSettings(url=url, timeout_s=5.0)
        cache = RedisCache(settings)
        cache.put(NAME, b"bytes")
        assert got(cache) == b"bytes"
        cache.close()
        with server.client() as client:
            client.select(3)
            assert client.dbsize() == 1


def test_a_new_connection_asks_nothing_of_its_own(own_valkey: ValkeyServer) -> None:
    with own_valkey.client() as client:
        client.config_resetstat()
        cache = RedisCache(own_valkey.settings)
        cache.get(NAME)
        cache.close()
        assert set(client.info("commandstats")) == {"cmdstat_config|resetstat", "cmdstat_mget"}


def test_a_key_of_another_type_is_nothing(cache: RedisCache, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.rpush(NAME, b"a list")
    assert cache.get(NAME) == NOTHING
    ((entry,),) = cache.entries()
    assert (entry.key, entry.kept_s) == (NAME, 0.0)


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("url", "http://localhost"),
        ("url", "redis://user:se/cret@localhost"),
        ("port", 0),
        ("port", 70000),
        ("db", -1),
        ("ttl_s", 0),
        ("timeout_s", 0.0),
    ],
)
def test_settings_outside_their_range_are_refused(field: str, bad: object) -> None:
    with pytest.raises(BadRequestError, match=f"^{field}: got ") as caught:
        RedisSettings(**{field: bad})  # type: ignore[arg-type]
    assert "se/cret" not in str(caught.value)


def test_redis_is_neither_imported_nor_connected_before_the_first_use() -> None:
    script = (
        "import sys; from backtest_pipelines.results.redis_cache import *; "
        "RedisCache(RedisSettings(port=1)); assert 'redis' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
