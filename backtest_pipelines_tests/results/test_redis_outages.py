"""A Valkey that is away, stands still, or is full: what a look at the cache costs, and what is said of it."""

from __future__ import annotations

import dataclasses
import logging
import socket
import threading
import time

import pytest

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.results.breaker import FAILURES
from backtest_pipelines.results.redis_cache import RedisCache, RedisSettings, key
from backtest_pipelines_tests.results.redis_entries import NAME, NOTHING, OTHER, got
from backtest_pipelines_tests.results.samples import Clock
from backtest_pipelines_tests.servers import ValkeyServer

UNAVAILABLE = "Redis cache not available"


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def fail(cache: RedisCache, times: int = FAILURES) -> None:
    for _ in range(times):
        assert cache.get(NAME) is None


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


def test_a_bad_option_in_the_url_is_an_outage_that_shows_no_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = RedisSettings(url="redis://user:secret@127.0.0.1:1/0?no_such_option=1")
    cache = RedisCache(settings)
    fail(cache)
    assert len(lines(caplog, logging.WARNING)) == 1
    assert "secret" not in caplog.text + repr(settings)
    cache.close()
