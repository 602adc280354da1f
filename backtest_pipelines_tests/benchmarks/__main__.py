"""Print the figures. Usage: python -m backtest_pipelines_tests.benchmarks [FOLDER OF REAL FILES]."""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.table import Table

from backtest_pipelines.engine.run import run
from backtest_pipelines.engine.trades import Trades
from backtest_pipelines.executions.compute import compute
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.keys import CALL
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.panel.view import MarketView
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.invalidations import Invalidations
from backtest_pipelines.results.codec import encode
from backtest_pipelines.results.files import AnswerFiles
from backtest_pipelines.results.fingerprint import fingerprint
from backtest_pipelines.results.redis_cache import RedisCache
from backtest_pipelines.results.store import AnswerStore
from backtest_pipelines.strategies.parameters import percent_units
from backtest_pipelines.strategies.question import Question, ask
from backtest_pipelines_tests.benchmarks import market, pandas_ways
from backtest_pipelines_tests.servers import ValkeyServer

VARIANT = "call_sell_future_buy_weekly"

MEASURE = """
import resource, subprocess, sys, time
start = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def main() -> None:
    """Run everything and print one table."""
    title = f"Python {platform.python_version()}, {os.cpu_count()} cores; median of each"
    table = Table(title=title, title_justify="left")
    for heading in ("figure", "measured", "to reach"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        store = PanelStore(home / "panel")
        market.build(store)
        panel = store.symbol("NIFTY")
        view = panel.view(None, None)
        table.add_row("market", f"{panel.session_count:,} sessions, {panel.row_count:,} rows", "1,730 and 2 million")
        engine_ms = _engine(table, view)
        _pandas(table, view, engine_ms)
        _whole(table, view)
        table.add_row("opening the panels", f"{_opening(home / 'panel'):.2f} ms", "5 ms")
        _redis(table, home, view)
        _new_process(table, home)
    files = _exchange_files()
    if files:
        with tempfile.TemporaryDirectory() as folder:
            report = ingest(files, PanelStore(Path(folder)))
        assert not report.bad, report.bad
        rate = len(files) / report.duration_s
        table.add_row(f"ingest of {len(files)} real files", f"{rate:.0f} files a second", "40")
    else:
        table.add_row("ingest of real files", "not run: name their folder", "40")
    Console(width=110).print(table)


def _questions() -> list[Question]:
    """60 parameter sets that share neither strikes nor re-entries."""
    return [
        ask(VARIANT, "NIFTY", {"spot_adjustment_type": kind, "spot_adjustment": move, "call_sell_position": position})
        for kind, move, position in product((0, 1, 2, 3), ("0.75", "1.5", "2.25"), ("-1", "-0.25", "0", "0.5", "1.25"))
    ]


def _engine(table: Table, view: MarketView) -> float:
    questions = _questions()
    times = [_timed(partial(run, view, question)) for _ in range(20) for question in questions]
    table.add_row("one backtest to trades, rotating parameters", f"{_median_ms(times):.3f} ms", "0.6 ms")
    simple = ask(VARIANT)
    plain = [_timed(lambda: run(view, simple)) for _ in range(300)]
    trades = len(run(view, simple).trades)
    table.add_row(f"one backtest to {trades} trades, no adjustment", f"{_median_ms(plain):.3f} ms", "")
    return _median_ms(times)


def _pandas(table: Table, view: MarketView, engine_ms: float) -> None:
    question = ask(VARIANT, "NIFTY", {"spot_adjustment_type": 3, "spot_adjustment": "1.5", "call_sell_position": "0.5"})
    ours = run(view, question).trades
    frame = pandas_ways.frame(view)
    days: dict[Any, pd.DataFrame] = dict(iter(frame.groupby("session")))
    spot = dict(zip(view.session.tolist(), view.index_close_paise.tolist(), strict=True))
    start = time.perf_counter()
    looped = pandas_ways.loop(
        days, spot, _reached(view), view.monthly_expiries.tolist(), 3, Decimal("1.5"), Decimal("0.5")
    )
    loop_ms = (time.perf_counter() - start) * 1000
    _assert_equal(ours, looped)
    prices = frame.set_index(["instrument", "session", "expiry", "strike"]).sort_index()
    calls = frame[(frame["instrument"] == CALL) & (frame["contracts"] > 0) & (frame["strike"] % 10_000 == 0)]
    tradable = calls[["session", "expiry", "strike"]].sort_values("strike")
    entries = pd.DataFrame(
        {
            "entry": ours.entry_date,
            "exit": ours.exit_date,
            "spot": ours.entry_spot_paise,
            "expiry": ours.legs[0].expiry,
            "month": ours.legs[1].expiry,
        }
    )
    units = percent_units(question.parameters["call_sell_position"])
    vectorised = pandas_ways.vectorised(prices, tradable, entries, units)
    _assert_equal(ours, vectorised)
    times = [_timed(lambda: pandas_ways.vectorised(prices, tradable, entries, units)) for _ in range(5)]
    table.add_row(
        "the same trades by a pandas loop (equal)",
        f"{loop_ms:,.0f} ms, {loop_ms / engine_ms:,.0f} times",
        "3,000 times",
    )
    table.add_row(
        "by vectorised pandas, entries given (equal)",
        f"{_median_ms(times):.1f} ms, {_median_ms(times) / engine_ms:,.0f} times",
        "",
    )


def _reached(view: MarketView) -> list[int]:
    return [day for day in view.expiries.tolist() if day <= view.session[-1]]


def _assert_equal(ours: Trades, other: pd.DataFrame) -> None:
    call, future = ours.legs
    columns: list[npt.NDArray[np.integer[Any]]] = [
        ours.entry_date,
        ours.exit_date,
        call.strike_paise,
        call.entry_price_paise,
        call.exit_price_paise,
        future.entry_price_paise,
        future.exit_price_paise,
    ]
    mine = np.stack([column.astype(np.int64) for column in columns], axis=1)
    assert np.array_equal(mine, other.to_numpy()), "the two ways found different trades"


def _whole(table: Table, view: MarketView) -> None:
    times = [_timed(partial(compute, view, question, "0" * 64)) for question in _questions()]
    table.add_row("trades, notices, equity, statistics, pivot", f"{_median_ms(times):.2f} ms", "4 ms")


def _opening(folder: Path) -> float:
    return _median_ms([_timed(lambda: PanelStore(folder).symbol("NIFTY").view(None, None)) for _ in range(30)])


def _redis(table: Table, home: Path, view: MarketView) -> None:
    question = ask(VARIANT)
    identity = fingerprint(question, view.digest)
    encoded = encode(compute(view, question, identity))
    with ValkeyServer() as server, Database(home / "executions.sqlite") as database:
        server.start()
        answers = AnswerStore(AnswerFiles(home / "answers"), Invalidations(database), RedisCache(server.settings))
        answers.keep(identity, VARIANT, "NIFTY", encoded)
        found = answers.look_up(identity, VARIANT, "NIFTY")
        assert found is not None, "the answer that was just kept is not found"
        assert found.tier == "redis", f"the answer came from {found.tier}"
        times = [_timed(lambda: answers.look_up(identity, VARIANT, "NIFTY")) for _ in range(500)]
        answers.close()
    table.add_row(f"a Redis hit of {len(encoded) / 1000:.0f} kB, verified", f"{_median_ms(times):.3f} ms", "0.3 ms")


def _new_process(table: Table, home: Path) -> None:
    command = [sys.executable, "-m", "backtest_pipelines", "run", VARIANT, "--home", str(home), "--no-cache"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("REDIS_", "BACKTEST_"))}
    # A small process between, as a child's peak begins with the memory of the one that it was forked from.
    between = [sys.executable, "-I", "-c", MEASURE, *command]
    measured = [
        subprocess.run(between, env=environment, check=True, capture_output=True, text=True).stdout.split()
        for _ in range(9)
    ]
    seconds, peaks = ([float(entry[number]) for entry in measured] for number in (0, 1))
    table.add_row("`run` as a new process", f"{_median_ms(seconds):.0f} ms", "500 ms")
    peak_mb = statistics.median(peaks) / (1024 if sys.platform == "linux" else 1024**2)
    table.add_row("its resident memory", f"{peak_mb:.0f} MB", "200 MB")


def _exchange_files() -> list[Path]:
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("BACKTEST_REAL_DATA")
    return exchange_files(Path(named) / "bhavcopy" / "udiff") if named else []


def _timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _median_ms(times: list[float]) -> float:
    return statistics.median(times) * 1000


if __name__ == "__main__":
    main()
