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

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.results.redis_cache import COUNTS_KEY, RedisCache, RedisSettings, key
from backtest_pipelines_tests.servers import ValkeyServer

QUESTION = ("ab" * 32, "covered_call", "NIFTY")
UNAVAILABLE = "Redis cache not available"


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lines(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


@pytest.fixture
def cache(valkey: ValkeyServer) -> Iterator[RedisCache]:
    cache = RedisCache(valkey.settings)
    yield cache
    cache.close()


def test_what_is_put_is_got_byte_for_byte_and_by_its_key_alone(cache: RedisCache) -> None:
    everything = bytes(range(256)) * 1000 + b"\r\n"
    cache.put(*QUESTION, everything)
    assert cache.get(*QUESTION) == everything
    assert cache.get("cd" * 32, *QUESTION[1:]) is None


def test_every_answer_has_a_time_to_live_and_a_key_by_variant_and_symbol(valkey: ValkeyServer) -> None:
    cache = RedisCache(dataclasses.replace(valkey.settings, ttl_s=77))
    cache.put(*QUESTION, b"bytes")
    cache.close()
    with valkey.client() as client:
        assert client.keys("*") == [f"backtest:answer:v1:covered_call:NIFTY:{'ab' * 32}".encode()]
        assert 75 <= client.ttl(key(*QUESTION)) <= 77


def test_a_value_above_the_limit_is_not_sent(valkey: ValkeyServer) -> None:
    cache = RedisCache(dataclasses.replace(valkey.settings, largest_value_bytes=10))
    cache.put(*QUESTION, b"x" * 11)
    assert cache.get(*QUESTION) is None
    cache.put(*QUESTION, b"x" * 10)
    assert cache.get(*QUESTION) == b"x" * 10
    cache.close()


def test_a_discarded_value_is_gone(cache: RedisCache) -> None:
    cache.put(*QUESTION, b"bytes")
    cache.discard(*QUESTION)
    assert cache.get(*QUESTION) is None


def test_counts_travel_with_the_next_call_and_the_last_ones_at_close(valkey: ValkeyServer) -> None:
    first, second = RedisCache(valkey.settings), RedisCache(valkey.settings)
    for cache in (first, second):
        cache.count("covered_call:miss")
        cache.put(*QUESTION, b"bytes")
        cache.count("covered_call:redis")
        cache.close()
    with valkey.client() as client:
        assert client.hgetall(COUNTS_KEY) == {b"covered_call:miss": b"2", b"covered_call:redis": b"2"}
    assert first.shared_counts() == {"covered_call:miss": 2, "covered_call:redis": 2}
    first.close()


@pytest.mark.parametrize("kind", ["port", "url", "unix_url"])
def test_it_connects_by_port_and_by_url_too(kind: str) -> None:
    port = 0 if kind == "unix_url" else free_port()
    with ValkeyServer(port) as server:
        server.start()
        if kind == "port":
            settings = RedisSettings(host="127.0.0.1", port=port, db=3)
        else:
            settings = RedisSettings(url=f"redis://127.0.0.1:{port}/3" if port else f"unix://{server.socket}?db=3")
        cache = RedisCache(settings)
        cache.put(*QUESTION, b"bytes")
        assert cache.get(*QUESTION) == b"bytes"
        cache.close()
        with server.client() as client:
            client.select(3)
            assert client.dbsize() == 1


def test_without_redis_there_is_one_warning_until_it_comes_and_an_info_line_then(
    own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    own_valkey.stop()
    clock = Clock()
    cache = RedisCache(own_valkey.settings, clock)
    for _ in range(5):
        assert cache.get(*QUESTION) is None
        cache.put(*QUESTION, b"bytes")
        clock.now += 1.5
    assert len(lines(caplog, logging.WARNING)) == 1
    assert lines(caplog, logging.WARNING)[0].startswith(UNAVAILABLE + ": ")

    own_valkey.start()
    clock.now += 60
    cache.put(*QUESTION, b"bytes")
    assert cache.get(*QUESTION) == b"bytes"
    assert lines(caplog, logging.INFO) == ["Redis cache available again"]
    assert len(lines(caplog, logging.WARNING)) == 1
    cache.close()


def test_redis_killed_and_started_between_calls_is_found_again(
    own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    cache = RedisCache(own_valkey.settings, clock)
    cache.put(*QUESTION, b"bytes")
    for _ in range(2):
        own_valkey.kill()
        assert cache.get(*QUESTION) is None
        own_valkey.start()
        assert cache.get(*QUESTION) is None  # left alone
        clock.now += 1.0
        cache.put(*QUESTION, b"bytes")
        assert cache.get(*QUESTION) == b"bytes"
    assert len(lines(caplog, logging.WARNING)) == 2  # one for each outage
    cache.close()


def test_the_pause_grows_from_one_second_to_sixty() -> None:
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
        cache = RedisCache(RedisSettings(host="127.0.0.1", port=port, socket_timeout_s=0.05), clock)
        cache.get(*QUESTION)
        assert attempts() == 1
        for pause in (1, 2, 4, 8, 16, 32, 60, 60):
            clock.now += pause - 0.01
            cache.get(*QUESTION)
            assert attempts() == 0, pause
            clock.now += 0.01
            cache.get(*QUESTION)
            assert attempts() == 1, pause
        cache.close()


def test_a_paused_server_costs_one_short_wait_and_no_reply_is_taken_for_another(
    own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    cache = RedisCache(own_valkey.settings, clock)
    other = ("cd" * 32, *QUESTION[1:])
    cache.put(*QUESTION, b"first")
    cache.put(*other, b"second")
    own_valkey.pause()
    begun = time.monotonic()
    assert cache.get(*QUESTION) is None
    assert 0.4 < time.monotonic() - begun < 1.5
    begun = time.monotonic()
    for _ in range(100):
        assert cache.get(*QUESTION) is None
    assert time.monotonic() - begun < 0.2
    own_valkey.resume()
    clock.now += 1
    assert cache.get(*other) == b"second"
    assert cache.get(*QUESTION) == b"first"
    assert len(lines(caplog, logging.WARNING)) == 1
    cache.close()


def test_many_threads_share_one_outage(own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    cache = RedisCache(own_valkey.settings, clock)
    cache.put(*QUESTION, b"bytes")
    own_valkey.pause()
    barrier = threading.Barrier(8)
    waits: list[float] = []

    def ask() -> None:
        barrier.wait()
        begun = time.monotonic()
        assert cache.get(*QUESTION) is None
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
    assert sum(wait > 0.3 for wait in waits) == 1  # after the pause one of them tries, the others stay away
    own_valkey.resume()
    clock.now += 2  # a second failure doubled the pause; eight at once did not raise it further
    assert cache.get(*QUESTION) == b"bytes"
    cache.close()


def test_counts_of_an_outage_arrive_after_it(own_valkey: ValkeyServer) -> None:
    clock = Clock()
    cache = RedisCache(own_valkey.settings, clock)
    own_valkey.stop()
    for _ in range(3):
        cache.count("covered_call:file")
        cache.get(*QUESTION)
    own_valkey.start()
    clock.now += 1
    assert cache.get(*QUESTION) is None
    assert cache.shared_counts() == {"covered_call:file": 3}
    cache.close()


def test_a_refused_command_is_an_outage_and_no_error(
    own_valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    with own_valkey.client() as client:
        client.config_set("maxmemory", "1kb")
    cache = RedisCache(own_valkey.settings)
    cache.put(*QUESTION, b"bytes")
    assert len(lines(caplog, logging.WARNING)) == 1
    assert "maxmemory" in lines(caplog, logging.WARNING)[0]
    cache.close()


def test_a_bad_option_in_the_url_is_an_outage_that_shows_no_password(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = RedisSettings(url="redis://user:secret@127.0.0.1:1/0?no_such_option=1")
    cache = RedisCache(settings)
    assert cache.get(*QUESTION) is None
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
        ("socket_timeout_s", 0.0),
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
