"""The routes of the cache over real connections, with Redis and with one that goes away."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from backtest_pipelines.executions.execute import Executed, execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines_tests.api.processes import api
from backtest_pipelines_tests.integration.dagster_servers import write_small_market
from backtest_pipelines_tests.ports import free_port
from backtest_pipelines_tests.servers import PATIENT, ValkeyServer

WEEKLY, T1 = "call_sell_future_buy_weekly", "call_sell_future_buy_t1"


@dataclass(frozen=True)
class Asked:
    """An API with its own Redis, and a workspace beside it that asks questions of the same installation."""

    client: httpx.Client
    workspace: Workspace
    redis: ValkeyServer

    def get(self, path: str) -> object:
        answer = self.client.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def invalidate(self, **selected: str | int) -> httpx.Response:
        return self.client.post("/api/v1/cache/invalidate", params=selected)

    def execute(self, variant: str) -> Executed:
        return execute(ExecutionRequest(variant), self.workspace)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    home: Path = tmp_path_factory.mktemp("home")
    write_small_market(home / "market")
    with ValkeyServer() as redis:
        settings = redis.start().settings
        environ = {**PATIENT, "REDIS_URL": f"unix://{redis.socket}"}
        with (
            Workspace(Settings(home, home / "inbox", settings)) as workspace,
            api(home, f"http://127.0.0.1:{free_port()}", environ=environ) as running,
            httpx.Client(base_url=running.url, timeout=30) as client,
        ):
            ingest(exchange_files(home / "market"), workspace.panels)
            yield Asked(client, workspace, redis)


def test_the_cache_tells_what_it_holds_and_is_invalidated_in_parts(asked: Asked) -> None:
    answers = [asked.execute(variant) for variant in (WEEKLY, T1, WEEKLY)]
    assert [answer.tier for answer in answers] == [None, None, "redis"]
    stats = asked.client.get("/api/v1/cache/stats").json()
    assert stats.pop("memory_peak_mb") >= stats.pop("memory_used_mb") > 0
    assert stats == {
        "total_cached_entries": 2,
        "total_cache_hits": 1,
        "total_cache_misses": 2,
        "by_strategy": {
            T1: {"cached_entries": 1, "total_hits": 0},
            WEEKLY: {"cached_entries": 1, "total_hits": 1},
        },
    }

    assert asked.invalidate(strategy_name=T1, symbol="BANKNIFTY").json()["deleted_entries"] == 0
    assert asked.invalidate(older_than=3600).json()["deleted_entries"] == 0
    done = {"status": "success", "deleted_entries": 1, "strategy": T1}
    assert asked.invalidate(strategy_name=T1).json() == done
    assert asked.execute(T1).tier is None
    assert asked.execute(WEEKLY).tier == "redis"
    assert asked.invalidate().json() == {"status": "success", "deleted_entries": 2, "strategy": None}
    assert asked.get("/cache/stats")["total_cached_entries"] == 0  # type: ignore[index]
    assert asked.client.get(f"/api/v1/executions/{answers[0].execution_id}/trades.csv").status_code == 200


@pytest.mark.parametrize(
    ("selected", "field", "limit"),
    [
        ({"strategy_name": "none"}, "strategy_name", WEEKLY),
        ({"symbol": "NONE"}, "symbol", "NIFTY"),
        ({"older_than": -1}, "older_than", "greater than or equal to 0"),
        ({"older_than": "inf"}, "older_than", "finite"),
        ({"strategy": WEEKLY}, "strategy", "strategy_name, symbol, older_than"),
    ],
)
def test_what_cannot_be_meant_invalidates_nothing(
    asked: Asked, selected: dict[str, str | int], field: str, limit: str
) -> None:
    asked.execute(WEEKLY)
    refused = asked.invalidate(**selected)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert refused.json()["field"] == field
    assert limit in refused.json()["limit"]
    assert asked.execute(WEEKLY).tier == "redis"


def test_metrics_tell_of_the_cache(asked: Asked) -> None:
    asked.execute(WEEKLY)
    metrics = asked.client.get("/api/v1/metrics").json()
    assert metrics["cache"]["total_cached_entries"] == 1
    assert metrics["cache"]["total_cache_hits"] == metrics["overall"]["cache_hits"]
    assert metrics["cache"]["memory_used_mb"] > 0


def test_the_health_of_redis_is_told_with_200_either_way(asked: Asked) -> None:
    asked.execute(WEEKLY)
    health = asked.client.get("/api/v1/cache/health").json()
    assert health.pop("latency_ms") > 0
    assert health.pop("version").startswith("valkey ")
    assert health == {"status": "healthy", "available": True}
    asked.redis.kill()
    away = {"status": "unavailable", "available": False, "latency_ms": None, "version": None}
    assert asked.get("/cache/health") == away
    stats = asked.client.get("/api/v1/cache/stats").json()
    assert (stats["total_cached_entries"], stats["memory_used_mb"]) == (1, 0.0)  # its file
