"""Print the service's figures beside those of the stock launcher, on SQLite and on Postgres.

Usage: python -m backtest_pipelines_tests.benchmarks.service [--runs 20] [--burst 50] [--store sqlite|postgres]
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
from rich.console import Console

from backtest_pipelines_tests.benchmarks.service_installations import build_market, new_home
from backtest_pipelines_tests.benchmarks.service_measure import (
    CALLERS,
    Extras,
    Series,
    Size,
    measured_ours,
    measured_stock,
)
from backtest_pipelines_tests.benchmarks.service_report import (
    Figure,
    figures_table,
    gaps,
    percentile,
    shares_table,
    spread,
)
from backtest_pipelines_tests.postgres import PostgresServer

P50_AT_MOST_MS = {"SQLite": 500.0, "Postgres": 250.0}


def main() -> None:
    """Measure both stores and print a table of each, with its shares."""
    parser = argparse.ArgumentParser(description="Print the service's figures beside those of the stock launcher.")
    parser.add_argument("--runs", type=int, default=20, help="of each series; default 20")
    parser.add_argument("--burst", type=int, default=50, help=f"runs from {CALLERS} callers; default 50")
    parser.add_argument("--rounds", type=int, default=3, help="of cancels and of kills; default 3")
    parser.add_argument("--store", choices=("sqlite", "postgres"), help="one of the two only")
    arguments = parser.parse_args()
    size = Size(arguments.runs, arguments.burst, arguments.rounds)
    console = Console(width=118)
    console.print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores; series of {size.runs} runs, "
        f"{size.rounds} rounds of cancels and kills. No question is asked twice: each run computes."
    )
    with tempfile.TemporaryDirectory(prefix="btb-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        build_market(place / "market")
        if arguments.store != "postgres":
            _measure("SQLite", place, lambda: None, size, console)
        if arguments.store != "sqlite":
            with _postgres(place / "server") as new_database:
                _measure("Postgres", place, new_database, size, console)


def _measure(store: str, place: Path, new_database: Callable[[], str | None], size: Size, console: Console) -> None:
    theirs = measured_stock(new_home(place / store / "stock", place / "market"), new_database(), size)
    mine, extras = measured_ours(new_home(place / store / "ours", place / "market"), new_database(), size)
    console.print(figures_table(store, _figures(store, mine, theirs, extras, size)))
    for name, runs in (("stock", theirs.runs), ("ours", mine.runs), ("ours, by the API", extras.jobs)):
        console.print(shares_table(f"{store}, {name}: medians, in ms", gaps([run.events for run in runs])))
    for name, series in (("stock", theirs), ("ours", mine)):
        memory = ", ".join(f"{process} {mb:.0f}" for process, mb in series.memory_mb.items())
        console.print(f"{store}, {name}: MB at rest: {memory}")


def _figures(store: str, mine: Series, theirs: Series, extras: Extras, size: Size) -> list[Figure]:
    p50_ms = P50_AT_MOST_MS[store]
    seen_ms = [run.seen_ms for run in mine.runs]
    stock_seen_ms = [run.seen_ms for run in theirs.runs]
    times = percentile(stock_seen_ms, 50) / percentile(seen_ms, 50)
    return [
        *spread("run by GraphQL to its success, seen", seen_ms, stock_seen_ms, p50_at_most=p50_ms),
        *spread("the same to the success's own time", _event_ms(mine), _event_ms(theirs), p50_at_most=p50_ms),
        Figure("times as fast as stock, p50", "times", times, at_least=4),
        *spread("job by REST to its success, seen", [job.seen_ms for job in extras.jobs], p50_at_most=p50_ms),
        *spread("the same to the success's own time", [job.event_ms for job in extras.jobs], p50_at_most=p50_ms),
        *spread(
            "the call that launches a run",
            [run.call_ms for run in mine.runs],
            [run.call_ms for run in theirs.runs],
            p50_at_most=120,
        ),
        *spread("the call that submits a job", [job.call_ms for job in extras.jobs], p50_at_most=120),
        *spread("GET of a job", extras.look_ms),
        *spread("answer of a job that is done", extras.result_ms, p50_at_most=30),
        Figure(f"{size.burst} runs from {CALLERS} callers", "s", mine.burst_s, theirs.burst_s, at_most=size.burst / 5),
        *_cancels(mine, theirs),
        *(
            Figure(f"killed: {killed}; the next success, p50", "ms", percentile(times_ms, 50))
            for killed, times_ms in extras.kills_ms.items()
        ),
        Figure("ready, on a new home", "s", extras.first_ready_s, at_most=15),
        Figure("ready, on a home in use", "s", extras.again_ready_s, at_most=15),
        Figure("memory at rest", "MB", sum(mine.memory_mb.values()), sum(theirs.memory_mb.values()), at_most=700),
    ]


def _cancels(mine: Series, theirs: Series) -> list[Figure]:
    ours, stock = mine.cancels, theirs.cancels
    return [
        *spread("cancel of a run that waits: the call", ours.waiting_call_ms, stock.waiting_call_ms),
        *spread("until it has ended", ours.waiting_ms, stock.waiting_ms),
        *spread("cancel of a run under way: the call", ours.running_call_ms, stock.running_call_ms),
        *spread("until it has ended", ours.running_ms, stock.running_ms),
        Figure("cancels that failed", "", ours.failures, stock.failures, at_most=0),
    ]


def _event_ms(series: Series) -> list[float]:
    return [run.event_ms for run in series.runs]


@contextmanager
def _postgres(folder: Path) -> Iterator[Callable[[], str]]:
    """Yield what makes new databases: on the server that the environment names, else on one of our own."""
    if named := os.environ.get("BACKTEST_POSTGRES_URL"):
        made: list[str] = []
        try:
            yield lambda: _new_database(named, made)
        finally:
            _execute(named, *(f"DROP DATABASE {name} WITH (FORCE)" for name in made))
    else:
        with PostgresServer(folder) as server:
            yield server.new_database


def _new_database(url: str, made: list[str]) -> str:
    name = f"bench_{uuid.uuid4().hex}"
    _execute(url, f"CREATE DATABASE {name}")
    made.append(name)
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _execute(url: str, *statements: str) -> None:
    with closing(psycopg2.connect(url)) as connection:
        connection.autocommit = True
        for statement in statements:
            with connection.cursor() as cursor:
                cursor.execute(statement)


if __name__ == "__main__":
    main()
