"""Print how fast the API answers: what is kept, what it computes, under load and beside other work.

Usage: python -m backtest_pipelines_tests.benchmarks.api [--seconds 5] [--records 1000000]
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from backtest_pipelines_tests.benchmarks import http_load
from backtest_pipelines_tests.benchmarks.api_layers import layers_ms
from backtest_pipelines_tests.benchmarks.api_surroundings import bare_server, fill, redis_paused, runs_starting, ui_open
from backtest_pipelines_tests.benchmarks.http_load import Load
from backtest_pipelines_tests.benchmarks.service_installations import Measured, build_market, new_home, ours
from backtest_pipelines_tests.benchmarks.service_report import Figure, figures_table, percentile, shares_table

VARIANT = "call_sell_future_buy_weekly"
EXECUTE = "/api/v1/execute"
QUESTION: dict[str, Any] = {
    "strategy_name": VARIANT,
    "parameters": {"spot_adjustment_type": 0, "symbol": "NIFTY"},
    "from_date": "2024-01-01",
    "to_date": "2024-12-20",
}
"""A year of weeks: about 50 trades."""
CALLERS = 8
SERIES = 30


def main() -> None:
    """Measure everything and print two tables."""
    parser = argparse.ArgumentParser(description="Print how fast the API answers.")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load; default 5")
    parser.add_argument("--records", type=int, default=1_000_000, help="executions on record; default 1,000,000")
    arguments = parser.parse_args()
    console = Console(width=118)
    with tempfile.TemporaryDirectory(prefix="bta-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        home = new_home(place / "home", build_market(place / "market"))
        fill(home, VARIANT, arguments.records)
        with ours(home, None) as service:
            _measure(service, arguments.seconds, arguments.records, console)


def _measure(service: Measured, seconds: float, records: int, console: Console) -> None:
    assert service.url is not None
    url = service.url
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        first_ms = _timed(lambda: _answer(client, {}))
        reply = client.post(EXECUTE, json=QUESTION)
        size, trades = len(reply.content), reply.json()["row_count"]
        console.print(
            f"Python {platform.python_version()}, {os.cpu_count()} cores, SQLite; {trades} trades in {size:,} bytes; "
            f"each answer on record, beside {records:,} others. The callers share the cores."
        )
        python_ms = _series(lambda _: client.post(EXECUTE, json=QUESTION), 300)
        misses_ms = _series(lambda number: _answer(client, {"call_sell_position": number / 100}), SERIES)
        submits_ms = _series(lambda number: _submit(client, 10 + number / 100), SERIES // 2)
        metrics_ms = _series(lambda _: client.get("/api/v1/metrics"), 100)
        prometheus_ms = _series(lambda _: client.get("/metrics"), 100)

        def load(callers: int, path: str = EXECUTE) -> Load:
            return http_load.start(url, path, callers, seconds, QUESTION if path == EXECUTE else None).result()

        one, many = load(1), load(CALLERS)
        health, health_many = load(1, "/health"), load(CALLERS, "/health")
        with bare_server(size) as bare_url:
            bare, bare_many = (http_load.start(bare_url, EXECUTE, n, seconds, QUESTION).result() for n in (1, CALLERS))
        with ui_open(f"{url}/runs"):
            beside_ui = load(CALLERS)
            with runs_starting(url, lambda client, number: _submit(client, 20 + number / 100)):
                beside_runs = load(CALLERS)
        with redis_paused(service.home):
            paused = load(CALLERS)
        layers = layers_ms(service.home, QUESTION, hit=_p(one, 50), health=_p(health, 50), bare=_p(bare, 50))
    refused = sum(load.refused for load in (one, many, beside_ui, beside_runs, paused))
    figures = [
        Figure("a hit, one caller, p50", "ms", _p(one, 50), _p(bare, 50), at_most=1.5),
        Figure("the same, p99", "ms", _p(one, 99), _p(bare, 99)),
        Figure("the same by httpx, p50", "ms", percentile(python_ms, 50)),
        Figure("hits a second, one caller", "/s", one.per_second, bare.per_second),
        Figure(f"hits a second, {CALLERS} callers", "/s", many.per_second, bare_many.per_second),
        Figure("the same, p99", "ms", _p(many, 99), _p(bare_many, 99)),
        Figure("beside Dagster's UI, hits a second", "/s", beside_ui.per_second, at_least=1200),
        Figure("the same, p99", "ms", _p(beside_ui, 99), at_most=20),
        Figure("beside the UI and starting runs, hits a second", "/s", beside_runs.per_second, at_least=600),
        Figure("the same, p99", "ms", _p(beside_runs, 99)),
        Figure("Redis paused, hits a second", "/s", paused.per_second),
        Figure("the same, p99", "ms", _p(paused, 99)),
        Figure("answers that were refused, in all", "", refused, at_most=0),
        Figure("/health, one caller, p50", "ms", _p(health, 50), _p(bare, 50)),
        Figure(f"/health a second, {CALLERS} callers", "/s", health_many.per_second, bare_many.per_second),
        Figure("the first question of a process", "ms", first_ms),
        Figure("a miss, computed, p50", "ms", percentile(misses_ms, 50), at_most=30),
        Figure("the same, largest", "ms", max(misses_ms), at_most=30),
        Figure("asynchronous submit, p50", "ms", percentile(submits_ms, 50), at_most=120),
        Figure("the same, largest", "ms", max(submits_ms)),
        Figure(f"/api/v1/metrics with {records:,} executions, p50", "ms", percentile(metrics_ms, 50), at_most=10),
        Figure("/metrics for Prometheus, p50", "ms", percentile(prometheus_ms, 50), at_most=10),
    ]
    console.print(figures_table("The API", figures, beside="bare server"))
    console.print(shares_table("A hit, one caller: medians, in ms", layers, "layer", places=3))


def _p(load: Load, percent: int) -> float:
    return percentile(load.times_ms, percent)


def _answer(client: httpx.Client, parameters: dict[str, float]) -> None:
    asked = {**QUESTION, "parameters": {**QUESTION["parameters"], **parameters}}
    reply = client.post(EXECUTE, json=asked)
    assert reply.status_code == httpx.codes.OK, reply.text
    assert not reply.json()["cached"], "this was to be computed"


def _submit(client: httpx.Client, position: float) -> str:
    parameters = {**QUESTION["parameters"], "call_sell_position": position}
    reply = client.post(EXECUTE, json={**QUESTION, "parameters": parameters, "async_execution": True})
    assert reply.status_code == httpx.codes.OK, reply.text
    return str(reply.json()["job_id"])


def _series(ask: Callable[[int], object], count: int) -> list[float]:
    return [_timed(lambda number=number: ask(number)) for number in range(1, count + 1)]  # type: ignore[misc]


def _timed(ask: Callable[[], object]) -> float:
    start = time.perf_counter()
    ask()
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    main()
