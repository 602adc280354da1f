"""The cache as its users see it: counted, told of, invalidated; with Redis, without, and with one that is away."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.executions.cache import CacheStats, VariantCacheStats
from backtest_pipelines.executions.execute import execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.results.redis_cache import RedisSettings
from backtest_pipelines_tests.servers import ValkeyServer

WEEKLY, T1 = "call_sell_future_buy_weekly", "call_sell_future_buy_t1"
REQUESTS = [ExecutionRequest(variant, symbol) for variant in (WEEKLY, T1) for symbol in ("NIFTY", "BANKNIFTY")]


@pytest.fixture(params=["with Redis", "without Redis", "Redis away"])
def redis(request: pytest.FixtureRequest, valkey: ValkeyServer) -> RedisSettings | None:
    away = RedisSettings(host="127.0.0.1", port=1)
    return {"with Redis": valkey.settings, "without Redis": None, "Redis away": away}[request.param]


@pytest.fixture
def workspace(tmp_path: Path, panel: Path, redis: RedisSettings | None) -> Iterator[Workspace]:
    (tmp_path / "panel").symlink_to(panel)
    with Workspace(Settings(tmp_path, tmp_path / "inbox", redis)) as opened:
        yield opened


def tiers(workspace: Workspace) -> list[str | None]:
    return [execute(request, workspace).tier for request in REQUESTS]


def entries(workspace: Workspace) -> dict[str, int]:
    return {
        name: each.cached_entries for name, each in workspace.cache.stats().by_variant.items() if each.cached_entries
    }


@pytest.mark.parametrize(
    ("variant", "symbol", "concerned"),
    [
        (None, None, [True, True, True, True]),
        (WEEKLY, None, [True, True, False, False]),
        (None, "BANKNIFTY", [False, True, False, True]),
        (T1, "NIFTY", [False, False, True, False]),
        (T1, "FINNIFTY", [False, False, False, False]),
    ],
)
def test_what_is_invalidated_is_computed_again_and_the_rest_is_found(
    workspace: Workspace, variant: str | None, symbol: str | None, concerned: list[bool]
) -> None:
    first = [execute(request, workspace) for request in REQUESTS]
    assert entries(workspace) == {WEEKLY: 2, T1: 2}
    assert workspace.cache.invalidate(variant, symbol) == sum(concerned)
    assert sum(entries(workspace).values()) == 4 - sum(concerned)
    assert workspace.cache.invalidate(variant, symbol) == 0
    for executed in first:
        assert workspace.answers.read(executed.fingerprint) == executed.encoded  # past executions keep their trades
    again = tiers(workspace)
    assert [tier is None for tier in again] == concerned
    assert None not in tiers(workspace)
    assert entries(workspace) == {WEEKLY: 2, T1: 2}


def test_only_what_is_older_is_invalidated(workspace: Workspace) -> None:
    old = execute(REQUESTS[0], workspace)
    time.sleep(0.3)
    execute(REQUESTS[1], workspace)
    age_s = time.time() - old.kept_s
    assert workspace.cache.invalidate(older_than_s=60) == 0
    assert workspace.cache.invalidate(older_than_s=age_s - 0.15) == 1
    assert [tier is None for tier in tiers(workspace)] == [True, False, True, True]


def test_an_answer_that_was_found_in_its_file_is_as_old_as_the_file(
    tmp_path: Path, panel: Path, valkey: ValkeyServer
) -> None:
    (tmp_path / "panel").symlink_to(panel)
    with Workspace(Settings(tmp_path, tmp_path / "inbox", valkey.settings)) as workspace, valkey.client() as client:
        old = execute(REQUESTS[0], workspace)
        time.sleep(0.2)
        client.flushall()
        assert [execute(REQUESTS[0], workspace).tier for _ in range(2)] == ["file", "redis"]
        assert workspace.cache.invalidate(older_than_s=time.time() - old.kept_s - 0.1) == 1


def test_an_invalidation_while_a_question_is_computed_is_obeyed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The equal question that ended meanwhile is not used: it was invalidated in between."""
    look_up = workspace.answers.look_up

    def overtaken(*arguments: str) -> object:
        found = look_up(*arguments)
        monkeypatch.setattr(workspace.answers, "look_up", look_up)
        execute(REQUESTS[0], workspace)
        workspace.cache.invalidate()
        return found

    monkeypatch.setattr(workspace.answers, "look_up", overtaken)
    executed = execute(REQUESTS[0], workspace)
    assert executed.tier is None
    assert workspace.cache.invalidate(older_than_s=3600) == 0
    assert execute(REQUESTS[0], workspace).kept_s == executed.kept_s


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("no_such_variant", None, None), "no_such_variant"),
        ((None, "SENSEX", None), "symbol: got 'SENSEX'"),
        ((None, None, -1.0), "older_than_s: got -1.0"),
        ((None, None, float("nan")), "older_than_s: got nan"),
    ],
)
def test_an_unknown_selection_is_refused_and_invalidates_nothing(
    workspace: Workspace, arguments: tuple[str | None, str | None, float | None], message: str
) -> None:
    execute(REQUESTS[0], workspace)
    with pytest.raises(BadRequestError, match=message):
        workspace.cache.invalidate(*arguments)
    assert execute(REQUESTS[0], workspace).cached


def test_hits_and_misses_are_those_on_record(workspace: Workspace) -> None:
    for _ in range(3):
        execute(REQUESTS[0], workspace)
    execute(replace(REQUESTS[0], use_cache=False), workspace)
    execute(REQUESTS[2], workspace)
    with pytest.raises(BadRequestError):
        execute(replace(REQUESTS[0], symbol="SENSEX"), workspace)
    stats = workspace.cache.stats()
    assert (stats.total_cache_hits, stats.total_cache_misses, stats.total_cached_entries) == (2, 3, 2)
    assert stats.by_variant == {WEEKLY: VariantCacheStats(1, 2), T1: VariantCacheStats(1, 0)}


def test_memory_and_health_are_those_of_redis(workspace: Workspace, redis: RedisSettings | None) -> None:
    health, stats = workspace.cache.health(), workspace.cache.stats()
    if redis is None or redis.port == 1:
        assert (health.status, health.available, health.latency_ms, health.version) == (
            "unavailable",
            False,
            None,
            None,
        )
        assert stats == CacheStats(0, 0, 0, 0.0, 0.0, {})
    else:
        assert (health.status, health.available) == ("healthy", True)
        assert health.version is not None
        assert health.version.startswith("valkey ")
        assert 0 < stats.memory_used_mb <= stats.memory_peak_mb


def test_with_redis_paused_answers_and_invalidations_go_on(
    tmp_path: Path, panel: Path, own_valkey: ValkeyServer
) -> None:
    (tmp_path / "panel").symlink_to(panel)
    settings = dataclasses.replace(own_valkey.settings, timeout_s=0.05, upkeep_timeout_s=0.2)
    request = REQUESTS[0]
    with (
        Workspace(Settings(tmp_path, tmp_path / "inbox", settings)) as workspace,
        Workspace(Settings(tmp_path, tmp_path / "inbox", settings)) as another,
    ):
        execute(request, workspace)
        execute(request, another)
        own_valkey.pause()
        assert [execute(request, workspace).tier for _ in range(5)] == ["file"] * 5
        assert not workspace.cache.health().available
        assert workspace.cache.stats().total_cached_entries == 1
        assert workspace.cache.invalidate() == 1
        assert execute(request, another).tier is None
        own_valkey.resume()
        assert execute(replace(request, symbol="BANKNIFTY"), another).tier is None


def test_with_redis_full_answers_and_invalidations_go_on(tmp_path: Path, panel: Path, own_valkey: ValkeyServer) -> None:
    (tmp_path / "panel").symlink_to(panel)
    with (
        Workspace(Settings(tmp_path, tmp_path / "inbox", own_valkey.settings)) as workspace,
        own_valkey.client() as client,
    ):
        execute(REQUESTS[0], workspace)
        client.config_set("maxmemory", "1kb")
        assert [execute(REQUESTS[0], workspace).tier for _ in range(5)] == ["redis"] * 5
        assert [execute(REQUESTS[1], workspace).tier for _ in range(3)] == [None, "file", "file"]
        assert workspace.cache.health().available
        assert workspace.cache.invalidate() == 1
        assert [execute(request, workspace).tier for request in REQUESTS[:2] for _ in range(2)] == [None, "file"] * 2
