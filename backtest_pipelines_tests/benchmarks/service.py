"""Print the service's figures beside those of the stock launcher, on SQLite and on Postgres.

Usage: python -m backtest_pipelines_tests.benchmarks.service [--runs 20] [--burst 50] [--store sqlite|postgres]
"""

from __future__ import annotations

import argparse
import os
import platform
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import psycopg2
from rich.console import Console

from backtest_pipelines.client.client import Client
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Workers
from backtest_pipelines.service.supervisor.state import read_state
from backtest_pipelines_tests.benchmarks.service_installations import (
    Measured,
    build_market,
    environment,
    new_home,
    ours,
    ours_with,
    stock,
)
from backtest_pipelines_tests.benchmarks.service_report import (
    Figure,
    figures_table,
    gaps,
    percentile,
    shares_table,
    spread,
)
from backtest_pipelines_tests.benchmarks.service_runs import (
    VARIANT,
    Cancels,
    Questions,
    Timing,
    Web,
    burst_s,
    cancels,
    timed_job,
    timed_run,
    wait,
)
from backtest_pipelines_tests.postgres import PostgresServer
from backtest_pipelines_tests.service.dagster import witness

SLOW_DEFINITIONS = "backtest_pipelines_tests.service.slow_definitions"
CALLERS = 8
OUR_SLOTS, STOCK_SLOTS = 2, 4
WARM_UP_RUNS = 4
REST_S = 5.0
P50_AT_MOST_MS = {"SQLite": 500.0, "Postgres": 250.0}


@dataclass(frozen=True)
class Size:
    """How often each thing is measured: runs of a series, runs of a burst, rounds of cancels and kills."""

    runs: int
    burst: int
    rounds: int


@dataclass(frozen=True)
class Series:
    """What both launchers are measured by."""

    runs: list[Timing]
    burst_s: float
    memory_mb: float
    cancels: Cancels


@dataclass(frozen=True)
class OurOwn:
    """What there is of ours alone: times in ms, but those named otherwise."""

    jobs: list[Timing]
    look_ms: list[float]
    result_ms: list[float]
    first_ready_s: float
    again_ready_s: float
    rest_mb: dict[str, float]
    kills_ms: dict[str, list[float]]


NewDatabase = Callable[[], str | None]


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the service's figures beside those of the stock launcher.")
    parser.add_argument("--runs", type=int, default=20, help="of each series; default 20")
    parser.add_argument("--burst", type=int, default=50, help=f"runs from {CALLERS} callers; default 50")
    parser.add_argument("--rounds", type=int, default=3, help="of cancels and kills; default 3")
    parser.add_argument("--store", choices=("sqlite", "postgres"), help="one of the two only")
    arguments = parser.parse_args()
    size = Size(arguments.runs, arguments.burst, arguments.rounds)
    console = Console(width=118)
    console.print(f"Python {platform.python_version()}, {os.cpu_count()} cores; {size}")
    console.print("Each question is asked once: every run computes its answer.")
    with tempfile.TemporaryDirectory(prefix="btb-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        build_market(place / "market")
        if arguments.store != "postgres":
            _measure("SQLite", place, lambda: None, size, console)
        if arguments.store != "sqlite":
            with _postgres(place / "postgres") as (name, new_database):
                _measure(name, place, new_database, size, console)


def _measure(store: str, place: Path, new_database: NewDatabase, size: Size, console: Console) -> None:
    folder = place / store.split()[0]
    theirs, _ = _series(stock, folder / "stock", place / "market", new_database(), size)
    mine, own = _ours(folder / "ours", place / "market", new_database(), size)
    console.print(figures_table(store, _figures(store, mine, theirs, own, size)))
    for name, series in (("stock", theirs.runs), ("ours", mine.runs), ("ours, by the API", own.jobs)):
        console.print(shares_table(f"{store}, {name}: from submission to success", gaps([run.events for run in series])))
    memory = ", ".join(f"{name} {mb:.0f}" for name, mb in own.rest_mb.items())
    console.print(f"{store}: MB of each process at rest: {memory}")


def _series(
    start: Callable[[Path, str | None], object], home: Path, market: Path, postgres_url: str | None, size: Size
) -> None: ...
