"""What was kept until a stamp is a miss, whichever copy of it is found, and whatever Redis heard of."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.results.files import AnswerFiles, FileEntry
from backtest_pipelines.results.redis_cache import RedisCache, key
from backtest_pipelines.results.store import STAMP_AGE_S, AnswerStore
from backtest_pipelines_tests.results.samples import SYMBOL, VARIANT, Clock, MemoryStamps, fingerprint, value
from backtest_pipelines_tests.servers import ValkeyServer

QUESTION = (fingerprint(0), VARIANT, SYMBOL)


@pytest.fixture
def stamps() -> MemoryStamps:
    return MemoryStamps()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stores(valkey: ValkeyServer, tmp_path: Path, stamps: MemoryStamps, clock: Clock) -> Iterator[list[AnswerStore]]:
    """Two processes' stores on the same files, stamps and Redis."""
    stores = [AnswerStore(AnswerFiles(tmp_path), stamps, RedisCache(valkey.settings), clock) for _ in range(2)]
    yield stores
    for store in stores:
        store.close()


def tier(store: AnswerStore) -> str | None:
    found = store.look_up(*QUESTION)
    return None if found is None else found.tier


def keep(store: AnswerStore, number: int = 0) -> float:
    kept_s = store.keep(fingerprint(number), VARIANT, SYMBOL, value(number))
    store.keep_rendering(fingerprint(number), VARIANT, SYMBOL, "json", b"{}", kept_s=kept_s)
    return kept_s


def test_a_rendering_is_kept_by_its_kind_for_as_long_as_an_answer(
    stores: list[AnswerStore], valkey: ValkeyServer
) -> None:
    store, other = stores
    assert store.look_up_renderings([QUESTION], "json") == [None]
    keep(store)
    assert other.look_up_renderings([QUESTION], "json") == [b"{}"]
    assert other.look_up_renderings([QUESTION], "csv") == [None]
    with valkey.client() as client:
        times = [client.ttl(key(*QUESTION, kind)) for kind in ("answer", "json")]
    assert 3590 < min(times) <= max(times) <= 3600


def test_a_damaged_rendering_is_none_with_a_warning(
    stores: list[AnswerStore], valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    keep(stores[0])
    with valkey.client() as client:
        client.append(key(*QUESTION, "json"), b" ")
        assert stores[0].look_up_renderings([QUESTION], "json") == [None]
        assert "damaged json in Redis, removed" in caplog.text
        assert not client.exists(key(*QUESTION, "json"))


def test_after_a_stamp_and_a_purge_all_copies_are_misses_everywhere(
    stores: list[AnswerStore], valkey: ValkeyServer, stamps: MemoryStamps
) -> None:
    keep(stores[0])
    assert [tier(store) for store in stores] == ["redis", "redis"]
    stamps.stamp()
    assert stores[0].purge() == 1  # the rendering is no second entry
    with valkey.client() as client:
        assert client.keys("*:v2:*") == []
    assert [tier(store) for store in stores] == [None, None]
    assert [store.look_up_renderings([QUESTION], "json") for store in stores] == [[None], [None]]
    assert stores[1].read(fingerprint(0)) == value()  # as past executions do
    keep(stores[1])
    assert [tier(store) for store in stores] == ["redis", "redis"]
    assert stores[0].look_up_renderings([QUESTION], "json") == [b"{}"]


def test_what_a_reader_puts_into_redis_late_is_no_hit_for_anybody(
    stores: list[AnswerStore], valkey: ValkeyServer, stamps: MemoryStamps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader found the old file before the stamp, and reaches Redis after the purge."""
    store, reader = stores
    kept_s = keep(store)
    assert tier(store) == tier(reader) == "redis"  # both know the stamp of now
    with valkey.client() as client:
        client.delete(key(*QUESTION))
    assert reader.cache is not None
    put = reader.cache.put

    def overtaken(name: str, sealed: bytes) -> None:
        stamps.stamp()
        store.purge()
        put(name, sealed)

    monkeypatch.setattr(reader.cache, "put", overtaken)
    assert tier(reader) == "file"  # it began before the invalidation
    monkeypatch.setattr(reader.cache, "put", put)
    reader.keep_rendering(*QUESTION, "json", b"{}", kept_s=kept_s)
    with valkey.client() as client:
        assert len(client.keys("*:v2:*")) == 2
        assert store.cached_answers().total() == 0
        assert [store.look_up_renderings([QUESTION], "json") for store in stores] == [[None], [None]]
        assert [tier(store) for store in stores] == [None, None]
        assert client.keys("*:v2:*") == []


def test_stamps_are_read_once_a_second_and_at_each_new_generation(
    stores: list[AnswerStore], stamps: MemoryStamps, clock: Clock
) -> None:
    store, other = stores
    keep(store)
    stamps.reads = 0
    assert [tier(store) for _ in range(50)] == ["redis"] * 50
    assert stamps.reads == 1
    stamps.stamp("another variant")
    other.purge()
    stamps.reads = 0
    assert [tier(store) for _ in range(50)] == ["redis"] * 50
    assert stamps.reads == 1
    stamps.stamp()  # of which Redis hears nothing
    clock.now += STAMP_AGE_S
    assert tier(store) == "redis"
    clock.now += 0.01
    assert tier(store) is None


def test_what_redis_held_during_its_outage_is_a_miss_when_it_returns(
    own_valkey: ValkeyServer, tmp_path: Path, stamps: MemoryStamps
) -> None:
    own_valkey.stop()
    own_valkey.start(appendonly="yes")
    stores = [AnswerStore(AnswerFiles(tmp_path), stamps, RedisCache(own_valkey.settings)) for _ in range(2)]
    keep(stores[0])
    keep(stores[0], 1)
    own_valkey.stop()
    stamps.stamp()
    with pytest.raises(UnavailableError):
        stores[0].purge()
    own_valkey.start(appendonly="yes")
    with own_valkey.client() as client:
        assert len(client.keys("*:v2:*")) == 4
    assert stores[1].cached_answers().total() == 0
    assert [tier(store) for store in stores] == [None, None]
    assert [store.look_up_renderings([QUESTION], "json") for store in stores] == [[None], [None]]
    assert stores[0].purge() == 1  # the other one
    for store in stores:
        store.close()


def test_a_purge_looks_at_what_is_selected_and_counts_what_was_removed(
    stores: list[AnswerStore], valkey: ValkeyServer, stamps: MemoryStamps
) -> None:
    store = stores[0]
    for number, (variant, symbol) in enumerate((v, s) for v in ("one", "two") for s in ("NIFTY", "BANKNIFTY")):
        store.keep(fingerprint(number), variant, symbol, value(number))
        stamps.stamp(variant, symbol)
    assert store.purge("one", "NIFTY") == 1
    assert store.purge("one") == 1
    assert store.purge(None, "NIFTY") == 1
    assert store.purge() == 1
    assert store.purge() == 0
    for number in range(3):
        store.keep(fingerprint(number), "one", "NIFTY", value(number))
    assert store.cached_answers() == {"one": 3}
    assert store.purge() == 0
    with valkey.client() as client:
        assert len(client.keys("*:v2:*")) == 3


def test_valid_files_are_those_after_their_stamp(
    tmp_path: Path, stamps: MemoryStamps, caplog: pytest.LogCaptureFixture
) -> None:
    store = AnswerStore(AnswerFiles(tmp_path), stamps)
    assert list(store.valid_files()) == []
    for number in range(2):
        store.keep(fingerprint(number), VARIANT, SYMBOL, value(number))
    stamps.stamp()
    kept_s = store.keep(fingerprint(1), VARIANT, SYMBOL, value(1))
    (tmp_path / "00").mkdir()
    (tmp_path / "00" / f"{'0' * 64}.answer").write_bytes(b"no answer")
    assert list(store.valid_files()) == [FileEntry(VARIANT, SYMBOL, kept_s)]
    assert "not counted" in caplog.text


def test_without_redis_there_is_nothing_to_purge_or_count(tmp_path: Path, stamps: MemoryStamps) -> None:
    store = AnswerStore(AnswerFiles(tmp_path), stamps)
    with pytest.raises(UnavailableError, match="no Redis is configured"):
        store.purge()
    with pytest.raises(UnavailableError, match="no Redis is configured"):
        store.cached_answers()
    keep(store)
    assert store.look_up_renderings([QUESTION], "json") == [None]


def test_a_large_answer_comes_from_its_file(valkey: ValkeyServer, tmp_path: Path, stamps: MemoryStamps) -> None:
    settings = dataclasses.replace(valkey.settings, largest_value_bytes=1000)
    store = AnswerStore(AnswerFiles(tmp_path), stamps, RedisCache(settings))
    keep(store)
    assert [tier(store) for _ in range(2)] == ["file", "file"]
    assert store.look_up_renderings([QUESTION], "json") == [b"{}"]
    store.close()
