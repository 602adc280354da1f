from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtest_pipelines.errors import BugError, UnavailableError
from backtest_pipelines.results.files import AnswerFiles
from backtest_pipelines.results.redis_cache import RedisCache, RedisSettings, key
from backtest_pipelines.results.sealed import seal
from backtest_pipelines.results.store import AnswerStore
from backtest_pipelines_tests.results.samples import SYMBOL, VARIANT, MemoryStamps, fingerprint, value
from backtest_pipelines_tests.servers import ValkeyServer

QUESTION = (fingerprint(0), VARIANT, SYMBOL)
NAME = key(*QUESTION)


@pytest.fixture
def stamps() -> MemoryStamps:
    return MemoryStamps()


@pytest.fixture
def store(valkey: ValkeyServer, tmp_path: Path, stamps: MemoryStamps) -> Iterator[AnswerStore]:
    store = AnswerStore(AnswerFiles(tmp_path), stamps, RedisCache(valkey.settings))
    yield store
    store.close()


def found(store: AnswerStore, number: int = 0, variant: str = VARIANT) -> tuple[bytes, str] | None:
    """Return bytes and tier of a look-up."""
    answer = store.look_up(fingerprint(number), variant, SYMBOL)
    return None if answer is None else (answer.bytes, answer.tier)


def damaged(whole: bytes, another: bytes, chance: random.Random) -> bytes:
    """Return bytes with one flipped bit, cut, extended, or those of another answer."""
    match chance.randrange(4):
        case 0:
            position = chance.randrange(len(whole))
            flipped = whole[position] ^ (1 << chance.randrange(8))
            return whole[:position] + bytes([flipped]) + whole[position + 1 :]
        case 1:
            return whole[: chance.randrange(len(whole))]
        case 2:
            return whole + chance.randbytes(chance.randint(1, 100))
        case _:
            return another


def test_a_kept_answer_is_found_in_redis_and_without_it_in_its_file(store: AnswerStore, valkey: ValkeyServer) -> None:
    assert found(store) is None
    assert store.read(fingerprint(0)) is None
    store.keep(*QUESTION, value())
    assert store.read(fingerprint(0)) == value()
    assert found(store) == (value(), "redis")
    with valkey.client() as client:
        client.flushall()
    assert found(store) == (value(), "file")
    assert found(store) == (value(), "redis")  # the file's hit filled it again


def test_each_tier_tells_when_the_answer_was_kept(
    store: AnswerStore, valkey: ValkeyServer, stamps: MemoryStamps
) -> None:
    kept_s = store.keep(*QUESTION, value())
    assert kept_s == stamps.now
    stamps.now += 50
    with valkey.client() as client:
        client.flushall()
    times = [answer.kept_s for answer in (store.look_up(*QUESTION), store.look_up(*QUESTION)) if answer]
    assert times == [kept_s, kept_s]  # of the file, then of what the file's hit put into Redis


@pytest.mark.parametrize("tier", ["redis", "file"])
def test_of_500_random_damages_each_is_a_miss_with_one_warning(
    store: AnswerStore, valkey: ValkeyServer, stamps: MemoryStamps, caplog: pytest.LogCaptureFixture, tier: str
) -> None:
    chance = random.Random(20240104)
    whole, another = value(0), value(1)
    if tier == "redis":
        whole, another = (
            seal(key(fingerprint(number), VARIANT, SYMBOL), stamps.now, value(number)) for number in (0, 1)
        )
    path = store.files.path(fingerprint(0))
    path.parent.mkdir(parents=True)
    with valkey.client() as client:
        for number in range(500):
            bad = damaged(whole, another, chance)
            if tier == "redis":
                client.set(NAME, bad)
            else:
                path.write_bytes(bad)
            caplog.clear()
            assert found(store) is None, number
            assert [record.levelno for record in caplog.records] == [logging.WARNING], number
            assert fingerprint(0) in caplog.text or "stored answer" in caplog.text
            assert not client.exists(NAME), number
        assert store.read(fingerprint(0)) is None
        store.keep(*QUESTION, value(0))
        client.flushall()
    assert found(store) == (value(0), "file")


def test_a_damaged_value_in_redis_is_replaced_from_its_file(
    store: AnswerStore, valkey: ValkeyServer, caplog: pytest.LogCaptureFixture
) -> None:
    store.keep(*QUESTION, value())
    with valkey.client() as client:
        sealed = client.get(NAME)
        client.set(NAME, value(1))
        assert found(store) == (value(), "file")
        assert client.get(NAME) == sealed
    assert "damaged answer in Redis" in caplog.text


def test_bytes_of_another_answer_are_not_kept(store: AnswerStore) -> None:
    with pytest.raises(BugError, match="must not be kept"):
        store.keep(*QUESTION, value(1))
    assert found(store) is None


def test_what_cannot_be_written_to_its_file_is_not_put_into_redis(valkey: ValkeyServer, tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    store = AnswerStore(AnswerFiles(tmp_path / "results"), MemoryStamps(), RedisCache(valkey.settings))
    with pytest.raises(UnavailableError):
        store.keep(*QUESTION, value())
    store.close()
    with valkey.client() as client:
        assert client.dbsize() == 0


@pytest.mark.parametrize("cache", [None, RedisCache(RedisSettings(host="127.0.0.1", port=1))])
def test_without_redis_answers_are_the_same_and_come_from_files(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, cache: RedisCache | None
) -> None:
    store = AnswerStore(AnswerFiles(tmp_path), MemoryStamps(), cache)
    assert found(store) is None
    store.keep(*QUESTION, value())
    for _ in range(10):
        assert found(store) == (value(), "file")
    assert len(caplog.records) == (0 if cache is None else 1)
    store.close()


def test_threads_get_the_same_answer_while_redis_is_killed_and_started(
    own_valkey: ValkeyServer, tmp_path: Path
) -> None:
    store = AnswerStore(AnswerFiles(tmp_path), MemoryStamps(), RedisCache(own_valkey.settings))
    store.keep(*QUESTION, value())
    wrong: list[object] = []
    tiers: list[str] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            try:
                answer = store.look_up(*QUESTION)
            except BaseException as error:
                wrong.append(error)
                raise
            if answer is None or answer.bytes != value():
                wrong.append(answer)
            else:
                tiers.append(answer.tier)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.1)
    own_valkey.kill()
    time.sleep(0.1)
    own_valkey.start()
    deadline = time.monotonic() + 20
    while tiers[-1] != "redis" and time.monotonic() < deadline:
        time.sleep(0.05)
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert tiers[0] == "redis"
    assert "file" in tiers
    assert found(store) == (value(), "redis")
    store.close()


def test_an_outage_in_the_middle_changes_no_answer(own_valkey: ValkeyServer, tmp_path: Path) -> None:
    store = AnswerStore(AnswerFiles(tmp_path), MemoryStamps(), RedisCache(own_valkey.settings))
    store.keep(*QUESTION, value())
    assert found(store) == (value(), "redis")
    own_valkey.kill()
    assert found(store) == (value(), "file")
    store.keep(fingerprint(1), VARIANT, SYMBOL, value(1))
    assert found(store, 1) == (value(1), "file")
    store.close()
