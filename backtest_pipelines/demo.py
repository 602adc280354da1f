"""`make demo`: a sample market, or the user's files, through real servers to answers, computed and then found.

It starts Redis and Dagster on the home folder and stops them at its end. The sample's prices are invented.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Event
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from backtest_pipelines.defs.inbox import QUIET_S
from backtest_pipelines.errors import BacktestError, BadRequestError, MissingDataError, UnavailableError
from backtest_pipelines.market.sample import write_sample_market
from backtest_pipelines.market.symbols import SYMBOLS
from backtest_pipelines.panel.ingest import exchange_files
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.service.graphql import Dagster, Run
from backtest_pipelines.service.servers import servers
from backtest_pipelines.strategies import catalogue

INGEST_S = 600.0
RUN_S = 120.0


@dataclass(frozen=True, slots=True)
class Launched:
    """A run that was launched and waited for: seconds from launch to end, and what it says."""

    seconds: float
    metadata: Mapping[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m backtest_pipelines.demo", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder where everything is kept")
    parser.add_argument("--data", type=Path, help="folder of the exchange's files; absent: the sample market")
    given = parser.parse_args(arguments)
    console = Console() if sys.stdout.isatty() else Console(width=110)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        demo(given.home, given.data, console)
    except KeyboardInterrupt:
        console.print("Interrupted; everything was stopped.")
        return 130
    except BacktestError as error:
        console.print(f"error: {error}", markup=False)
        return error.exit_code
    return 0


def demo(home: Path, data: Path | None, console: Console) -> None:
    """Run the demo on a home folder.

    Raises
    ------
    BacktestError
        Whatever hinders it.
    """
    start = time.monotonic()
    inbox = home / "inbox" if data is None else data
    needs_sample = _needs_sample(home, data)
    stop = Event()
    with (
        Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        ) as progress,
        ThreadPoolExecutor(1) as pool,
    ):
        sample = pool.submit(_write_sample, inbox, progress, stop) if needs_sample else None
        try:
            starting = progress.add_task("Redis, code server, web server", total=1)
            with servers(home, inbox=inbox, log_folder=home / "logs") as running:
                progress.update(starting, completed=1)
                _finish(sample)
                dagster = Dagster(running.url)
                since = time.time()
                running.start_daemon()
                ingesting = progress.add_task(f"Ingest of {len(exchange_files(inbox))} files", total=1)
                ingested = _ingested(dagster, since)
                progress.update(ingesting, completed=1)
                _say_failures(console, ingested)
                symbols = sorted(PanelStore(home / "panel").manifest().symbols)
                if not symbols:
                    raise MissingDataError(f"{inbox} holds no file of {', '.join(SYMBOLS)}")
                symbol = SYMBOLS[0] if SYMBOLS[0] in symbols else symbols[0]
                panel = dagster.launch("panels_job", symbol, {})
                first = _round(dagster, progress, symbol, "computed afresh", use_cache=False)
                second = _round(dagster, progress, symbol, "asked again", use_cache=True)
                dagster.wait(panel, RUN_S)
        finally:
            stop.set()
    console.print(_table(symbol, first, second))
    if data is None:
        console.print("The sample market's prices are invented: they say nothing of what a strategy earns.")
    console.print(f"Done in {time.monotonic() - start:.0f} s, everything is stopped again. Logs: {home / 'logs'}.")
    console.print(
        f"See it all in Dagster's UI: make dev{'' if data is None else f' DATA={data}'}",
        highlight=False,
        soft_wrap=True,
    )


def _needs_sample(home: Path, data: Path | None) -> bool:
    """Say whether the sample is to be written; true and invented prices must never meet in one home."""
    own = home / "inbox"
    has_own = own.is_dir() and any(own.iterdir())
    if data is not None:
        if has_own:
            raise BadRequestError("--home", str(home), f"{own} holds other files: name another home for --data")
        exchange_files(data)
        return False
    if not has_own and PanelStore(home / "panel").sources():
        limit = "it holds files that were ingested from elsewhere: name another home for the sample market"
        raise BadRequestError("--home", str(home), limit)
    return not has_own


def _write_sample(inbox: Path, progress: Progress, stop: Event) -> None:
    task = progress.add_task("Sample market, sessions", total=None)

    def on_session(_: date, done: int, total: int) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        progress.update(task, completed=done, total=total)

    partial = inbox.with_name("inbox.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_sample_market(partial, on_session=on_session)
    if inbox.is_dir():
        inbox.rmdir()
    partial.rename(inbox)
    time.sleep(QUIET_S)  # the sensor leaves younger files for its next look


def _finish(sample: Future[None] | None) -> None:
    if sample is not None:
        sample.result()


def _ingested(dagster: Dagster, since: float) -> list[Run]:
    """Wait for the sensor's look at the inbox and for the runs that it started."""
    return [dagster.wait(run, INGEST_S) for run in dagster.runs_of_tick("inbox_sensor", since, INGEST_S)]


def _say_failures(console: Console, runs: Sequence[Run]) -> None:
    for failure in (failure for run in runs for failure in run.failures):
        console.print(failure, markup=False)


def _round(dagster: Dagster, progress: Progress, symbol: str, what: str, *, use_cache: bool) -> dict[str, Launched]:
    """Launch every variant once, all together."""
    names = [variant.name for variant in catalogue.variants()]
    task = progress.add_task(f"Variants, {what}", total=len(names))
    start = time.monotonic()
    runs = {
        name: dagster.launch(f"{name}_job", symbol, {"ops": {name: {"config": {"use_cache": use_cache}}}})
        for name in names
    }
    results = {}
    for name, run_id in runs.items():
        run = dagster.wait(run_id, RUN_S)
        if run.status != "SUCCESS":
            msg = f"{name}: the run ended as {run.status}: {'; '.join(run.failures)}"
            raise UnavailableError(msg)
        results[name] = Launched(time.monotonic() - start, run.metadata)
        progress.advance(task)
    return results


def _table(symbol: str, first: Mapping[str, Launched], second: Mapping[str, Launched]) -> Table:
    table = Table(title="Runs launched together: seconds until each had ended, in brackets the question alone")
    table.add_column("variant")
    for heading in ("symbol", "computed", "asked again", "found in", "trades", "net P&L, points"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, computed in first.items():
        table.add_row(
            name,
            symbol,
            _times(computed),
            _times(second[name]),
            str(second[name].metadata["tier"]),
            str(computed.metadata["trades"]),
            f"{computed.metadata['net_pnl_points']:,.2f}",
        )
    return table


def _times(launched: Launched) -> str:
    return f"{launched.seconds:.1f} s ({launched.metadata['duration_ms']:.0f} ms)"


if __name__ == "__main__":
    sys.exit(main())
