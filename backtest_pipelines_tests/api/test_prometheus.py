"""What Prometheus reads, parsed by its own library, over a real connection: it agrees with the JSON of the metrics."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from backtest_pipelines import __version__
from backtest_pipelines.api.metric_families import LIMITS_S
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import Door, Execution, ExecutionRecords
from backtest_pipelines.records.jobs import JobRecords
from backtest_pipelines.records.workers import Workers
from backtest_pipelines_tests.api.processes import api
from backtest_pipelines_tests.docs.markdown import DOCS, first_cells
from backtest_pipelines_tests.ports import free_port

WEEKLY, T1 = "call_sell_future_buy_weekly", "call_sell_future_buy_t1"
FAILED = {"outcome": "failed", "error_type": "BadDataError", "error_message": "so it is"}
COMPLETED = {"outcome": "completed", "row_count": 7, "fingerprint": "f" * 64}
DURATIONS_MS = (0.2, 0.25, 0.26, 3.0, 25.0, 25.1, 99_999.0, 600_000.0)
STARTED = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)

Labels = dict[str, str]


@dataclass(frozen=True)
class Monitored:
    """An API over known executions."""

    client: httpx.Client
    database: Database

    def read(self) -> dict[str, Metric]:
        answer = self.client.get("/metrics")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        return {family.name: family for family in text_string_to_metric_families(answer.text)}


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    home = tmp_path_factory.mktemp("home")
    with Database(home / "executions.sqlite") as database:
        records = ExecutionRecords(database)
        for duration_ms in DURATIONS_MS:
            records.insert(execution(WEEKLY, "rest", duration_ms, cached=False, **COMPLETED))
        records.insert(execution(WEEKLY, "cli", 1.0, cached=True, tier="redis", **COMPLETED))
        records.insert(execution(WEEKLY, "cli", 2.0, cached=True, tier="file", **COMPLETED))
        records.insert(execution(T1, "python", 4.0, cached=False, **FAILED))
        JobRecords(database).add(request_id=None, body_digest="d", variant=T1, symbol="NIFTY", request="{}")
        with api(home, f"http://127.0.0.1:{free_port()}") as running, httpx.Client(base_url=running.url) as client:
            yield Monitored(client, database)


def execution(variant: str, door: Door, duration_ms: float, **more: Any) -> Execution:
    return Execution(
        variant=variant, parameters="{}", symbol="NIFTY", door=door, started_at=STARTED, duration_ms=duration_ms, **more
    )


def total(family: Metric, **labels: str) -> float:
    """Return the sum of a metric's samples that have these labels."""
    return sum(
        sample.value
        for sample in family.samples
        if sample.name == f"{family.name}_total" and labels.items() <= sample.labels.items()
    )


def test_it_agrees_with_the_metrics_in_json(monitored: Monitored) -> None:
    found, metrics = monitored.read(), monitored.client.get("/api/v1/metrics").json()
    executions, overall = found["backtest_executions"], metrics["overall"]
    assert total(executions) == overall["total_executions"] == len(DURATIONS_MS) + 3
    assert total(executions, outcome="failed") == overall["failed_executions"] == 1
    assert total(executions, tier="redis") + total(executions, tier="file") == overall["cache_hits"] == 2
    assert total(executions, outcome="completed", tier="none") == overall["cache_misses"]
    for strategy, of in metrics["by_strategy"].items():
        assert total(executions, strategy=strategy) == of["total_executions"]
    by_door = {"rest": len(DURATIONS_MS), "cli": 2, "python": 1}
    assert {door: total(executions, door=door) for door in by_door} == by_door
    started = found["process_start_time_seconds"].samples[0].value
    assert started == pytest.approx(datetime.fromisoformat(metrics["start_time"]).timestamp(), abs=30)
    entries = sum(sample.value for sample in found["backtest_cache_entries"].samples)
    assert entries == metrics["cache"]["total_cached_entries"]


def test_durations_are_counted_up_to_each_limit(monitored: Monitored) -> None:
    family = monitored.read()["backtest_execution_duration_seconds"]
    labels = {"strategy": WEEKLY, "door": "rest", "outcome": "completed"}
    of = [sample for sample in family.samples if labels.items() <= sample.labels.items()]
    buckets = {sample.labels["le"]: sample.value for sample in of if sample.name.endswith("_bucket")}
    expected = {str(limit): sum(ms / 1000 <= limit for ms in DURATIONS_MS) for limit in LIMITS_S}
    assert buckets == {**expected, "+Inf": len(DURATIONS_MS)}
    (count,) = (sample.value for sample in of if sample.name.endswith("_count"))
    (seconds,) = (sample.value for sample in of if sample.name.endswith("_sum"))
    assert count == len(DURATIONS_MS)
    assert seconds == pytest.approx(sum(DURATIONS_MS) / 1000)
    assert len({tuple(sample.labels[name] for name in labels) for sample in family.samples}) == 3


def test_jobs_workers_and_parts_are_told(monitored: Monitored) -> None:
    workers, deadline = Workers(monitored.database), time.monotonic() + 30

    def values(name: str, label: str) -> dict[str, float]:
        return {sample.labels[label]: sample.value for sample in found[name].samples}

    while True:
        workers.show("a", "here", 1, None)
        workers.show("b", "here", 2, "run")
        found = monitored.read()
        if values("backtest_part_up", "part")["workers"]:
            break
        assert time.monotonic() < deadline
        time.sleep(0.5)
    parts = {"database": 1, "redis": 0, "dagster": 0, "workers": 1, "projection": 0}
    assert values("backtest_part_up", "part") == parts
    assert values("backtest_workers", "state") == {"busy": 1, "idle": 1}
    assert found["backtest_jobs_open"].samples[0].value == 1
    assert values("backtest_build_info", "version") == {__version__: 1}
    started = dict.fromkeys((WEEKLY, T1), STARTED.timestamp())
    assert values("backtest_last_execution_timestamp_seconds", "strategy") == started


def test_requests_are_counted_by_method_and_status(monitored: Monitored) -> None:
    def answered() -> Counter[tuple[str, str]]:
        family = monitored.read()["backtest_http_requests"]
        return Counter(
            {(sample.labels["method"], sample.labels["code"]): int(sample.value) for sample in family.samples}
        )

    before = answered()
    monitored.client.get("/api/v1/unknown")
    monitored.client.request("PROPFIND", "/api/v1/jobs")
    monitored.client.get("/health", headers={"Host": "evil.example"})
    since = answered() - before
    assert since == {("GET", "404"): 1, ("other", "405"): 1, ("GET", "403"): 1, ("GET", "200"): 1}
    (under_way,) = monitored.read()["backtest_http_requests_in_progress"].samples
    assert under_way.value == 1  # this one


def test_every_metric_is_described(monitored: Monitored) -> None:
    page = (DOCS / "reference" / "prometheus.md").read_text(encoding="utf-8")
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name for family in monitored.read().values()
    }
    described = set(first_cells(page))
    assert names - described == set()
    assert {name for name in described - names if not name.startswith("process_")} == set()  # those of Linux alone
