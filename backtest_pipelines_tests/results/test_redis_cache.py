from __future__ import annotations

import dataclasses
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from backtest_pipelines.errors import BadRequestError, UnavailableError
from backtest_pipelines.results.breaker import FAILURES
from backtest_pipelines.results.redis_cache import ANSWER, Entry, RedisCache, RedisSettings, Reply, key
from backtest_pipelines.results.sealed import seal
from backtest_pipelines_tests.ports import free_port
from backtest_pipelines_tests.results.samples import Clock
from backtest_pipelines_tests.servers import ValkeyServer

NAME = key("ab" * 32, "covered_call", "NIFTY")
OTHER = key("cd" * 32, "covered_call", "NIFTY")
NOTHING = Reply(None, None)
UNAVAILABLE = "Redis cache not available"


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def got(cache: RedisCache, name: str = NAME) -> bytes | None:
    reply = cache.get(name)
    assert reply is not None, "Redis is not available"
    return reply.sealed


def fail(cache: RedisCache, times: int = FAILURES) -> None:
    for _ in range(times):
        assert cache.get(NAME) is None


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


def test_without_redis_there_is_one_warning_until_it_comes_and_an_info_line_then(
    own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    own_valkey.stop()
    clock = Clock()
    cache = RedisCache(own_valkey.settings, clock)
    for _ in range(5):
        assert cache.get(NAME) is None
        cache.put(NAME, b"bytes")
        cache.discard(NAME)
        with pytest.raises(UnavailableError):
            list(cache.entries())
        clock.now += 1.5
    assert len(lines(caplog, logging.WARNING)) == 1
    assert lines(caplog, logging.WARNING)[0].startswith(UNAVAILABLE + ": ")

    own_valkey.start()
    cache.put(NAME, b"bytes")
    assert got(cache) == b"bytes"
    assert lines(caplog, logging.INFO) == ["Redis cache available again"]
    assert len(lines(caplog, logging.WARNING)) == 1
    cache.close()


def test_redis_killed_and_started_between_calls_is_found_again_at_once(
    own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    cache = RedisCache(own_valkey.settings, Clock())
    for _ in range(2):
        cache.put(NAME, b"bytes")
        assert got(cache) == b"bytes"
        own_valkey.kill()
        assert cache.get(NAME) is None
        own_valkey.start()
    assert caplog.records == []  # one failure is no outage
    cache.close()


def test_after_three_failures_there_is_one_attempt_a_second() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)

        def attempts() -> int:
            """Count the connections since the last time, hanging up on each."""
            count = 0
            while True:
                try:
                    listener.accept()[0].close()
                except BlockingIOError:
                    return count
                count += 1

        clock = Clock()
        port = listener.getsockname()[1]
        cache = RedisCache(RedisSettings(host="127.0.0.1", port=port, timeout_s=0.05), clock)
        fail(cache, 10)
        assert attempts() == 3
        for _ in range(3):
            clock.now += 0.99
            fail(cache, 10)
            assert attempts() == 0
            clock.now += 0.01
            fail(cache, 10)
            assert attempts() == 1
        cache.close()


def test_a_paused_server_costs_three_short_waits_and_no_reply_is_taken_for_another(
    own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    cache = RedisCache(dataclasses.replace(own_valkey.settings, timeout_s=0.2), clock)
    cache.put(NAME, b"first")
    cache.put(OTHER, b"second")
    own_valkey.pause()
    begun = time.monotonic()
    fail(cache)
    assert 0.6 <= time.monotonic() - begun < 5  # the second and the third on new connections
    begun = time.monotonic()
    fail(cache, 1000)
    assert time.monotonic() - begun < 0.2  # less than one wait
    own_valkey.resume()
    clock.now += 1
    assert got(cache, OTHER) == b"second"
    assert got(cache) == b"first"
    assert len(lines(caplog, logging.WARNING)) == 1
    cache.close()


def test_late_replies_never_answer_another_question(own_valkey: ValkeyServer) -> None:
    names = [key(f"{number:064}", "covered_call", "NIFTY") for number in range(20)]
    clock = Clock()
    cache = RedisCache(dataclasses.replace(own_valkey.settings, timeout_s=0.05), clock)
    for name in names:
        while cache.get(name) in (None, NOTHING):  # on a loaded machine more than once
            cache.put(name, name.encode())
            clock.now += 1
    replies: list[tuple[str, bytes]] = []
    ended = threading.Event()

    def ask(first: int) -> None:
        turn = first
        while not ended.is_set():
            name = names[turn % len(names)]
            reply = cache.get(name)
            if reply is not None and reply.sealed is not None:
                replies.append((name, reply.sealed))
            turn += 7

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        own_valkey.pause()
        time.sleep(0.06)
        own_valkey.resume()
        clock.now += 1
        time.sleep(0.02)
    ended.set()
    for thread in threads:
        thread.join()
    cache.close()
    assert len(replies) > 100
    assert [name for name, value in replies if value != name.encode()] == []


def test_many_threads_share_one_outage_and_one_probe(
    own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    cache = RedisCache(dataclasses.replace(own_valkey.settings, timeout_s=0.4), clock)
    cache.put(NAME, b"bytes")
    own_valkey.pause()
    barrier = threading.Barrier(8)
    waits: list[float] = []

    def ask() -> None:
        barrier.wait()
        begun = time.monotonic()
        assert cache.get(NAME) is None
        waits.append(time.monotonic() - begun)

    def ask_together() -> None:
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    ask_together()
    assert len(lines(caplog, logging.WARNING)) == 1
    clock.now += 1
    waits.clear()
    ask_together()
    assert len(waits) == 8
    assert sum(wait > 0.3 for wait in waits) == 1  # one of them tries, the others stay away
    own_valkey.resume()
    clock.now += 1
    assert got(cache) == b"bytes"
    cache.close()


def test_a_full_server_is_read_as_before_and_its_refusals_are_logged_once(
    own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    cache = RedisCache(own_valkey.settings)
    cache.put(NAME, b"bytes")
    with own_valkey.client() as client:
        client.config_set("maxmemory", "1kb")
        for _ in range(10):
            cache.put(OTHER, b"bytes")
            cache.renew_generation()
            assert got(cache) == b"bytes"
            assert cache.get(OTHER) == NOTHING
        (warning,) = lines(caplog, logging.WARNING)
        assert warning.startswith("Redis cache refuses SET: ")
        assert "maxmemory" in warning
        client.config_set("maxmemory", "0")
        for _ in range(2):
            cache.put(OTHER, b"bytes")
    assert got(cache, OTHER) == b"bytes"
    assert lines(caplog, logging.INFO) == ["Redis cache carries out SET again"]
    cache.close()


def test_a_key_of_another_type_is_nothing(cache: RedisCache, valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.rpush(NAME, b"a list")
    assert cache.get(NAME) == NOTHING
    ((entry,),) = cache.entries()
    assert (entry.key, entry.kept_s) == (NAME, 0.0)


def test_a_bad_option_in_the_url_is_an_outage_that_shows_no_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = RedisSettings(url="redis://user:secret@127.0.0.1:1/0?no_such_option=1")
    cache = RedisCache(settings)
    fail(cache)
    assert len(lines(caplog, logging.WARNING)) == 1
    assert "secret" not in caplog.text + repr(settings)
    cache.close()


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
