"""`make demo`: a sample market, or the user's files, through real servers to answers, computed and then found.

It starts everything on the home folder and stops it at its end. The sample's prices are invented.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from backtest_pipelines.errors import BacktestError, BadRequestError, MissingDataError, UnavailableError
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.graphql.web_server import WebServer
from backtest_pipelines.market.sample import write_sample_market
from backtest_pipelines.market.symbols import SYMBOLS
from backtest_pipelines.panel.ingest import IngestReport, exchange_files, ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.service.supervisor.installation import Installation, installation
from backtest_pipelines.strategies import catalogue

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
    _stop_on_signals()
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
    sample = home / "sample"
    _refuse_a_mixture(home, sample, data)
    stop = Event()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress, ThreadPoolExecutor(1) as pool:
        ingesting = pool.submit(_ingest, home, sample, data, progress, stop)
        try:
            settings = settings_from(os.environ, home=home)
            with installation(settings, os.environ, on_event=partial(console.print, markup=False)) as running:
                _wait_until_ready(running, progress)
                report = ingesting.result()
                for file in report.bad:
                    console.print(f"bad file, left out: {file.name}: {file.reason}", markup=False)
                symbol = _symbol(report, sample if data is None else data)
                dagster = WebServer(running.web_url)
                dagster.wait(dagster.launch("panels_job", symbol, {}), RUN_S)
                first = _round(dagster, progress, symbol, "computed afresh", use_cache=False)
                second = _round(dagster, progress, symbol, "asked again", use_cache=True)
        finally:
            stop.set()
    console.print(_table(symbol, first, second))
    if data is None:
        console.print("The sample market's prices are invented: they say nothing of what a strategy earns.")
    console.print(f"Done in {time.monotonic() - start:.0f} s, everything is stopped again. Logs: {home / 'logs'}.")
    command = "make dev" if data is None else f"make dev DATA={data}"
    console.print(f"See it all in Dagster's UI: {command}", highlight=False, soft_wrap=True)


def _stop_on_signals() -> None:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt in the main thread.

    A shell starts what it puts in the background with SIGINT ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _wait_until_ready(running: Installation, progress: Progress) -> None:
    """Wait until everything answers, showing how many processes do."""
    supervisor = running.supervisor
    task = progress.add_task("Processes of the service", total=len(supervisor.children))

    def show() -> None:
        progress.update(task, completed=supervisor.ready_count)

    supervisor.wait_until_ready(show)
    show()


def _refuse_a_mixture(home: Path, sample: Path, data: Path | None) -> None:
    """Invented and true prices must never meet in one home."""
    if data is not None:
        exchange_files(data)
        if sample.exists():
            raise BadRequestError("--home", str(home), "it holds the invented sample market: name another for --data")
    elif not sample.exists() and PanelStore(home / "panel").sources():
        raise BadRequestError("--home", str(home), "it holds ingested files: name another for the sample market")


def _ingest(home: Path, sample: Path, data: Path | None, progress: Progress, stop: Event) -> IngestReport:
    """Write the sample market where it is wanted, and put the files into the panels."""

    def shown(what: str) -> Callable[[int, int], None]:
        task = progress.add_task(what, total=None)

        def advance(done: int, total: int) -> None:
            if stop.is_set():
                raise KeyboardInterrupt
            progress.update(task, completed=done, total=total)

        return advance

    if data is None and not sample.exists():
        advance = shown("Sample market, sessions")
        partial = home / "sample.partial"
        shutil.rmtree(partial, ignore_errors=True)
        write_sample_market(partial, on_session=lambda _, done, total: advance(done, total))
        partial.rename(sample)
    files = exchange_files(sample if data is None else data)
    return ingest(files, PanelStore(home / "panel"), on_file=shown("Ingest, files"))


def _symbol(report: IngestReport, folder: Path) -> str:
    symbols = [symbol for symbol in SYMBOLS if report.sessions_total.get(symbol)]
    if not symbols:
        msg = f"{folder} holds no bhavcopy of {', '.join(SYMBOLS)}: put the exchange's daily files there"
        raise MissingDataError(msg)
    return symbols[0]


def _round(dagster: WebServer, progress: Progress, symbol: str, what: str, *, use_cache: bool) -> dict[str, Launched]:
    """Launch every variant once, one after the other."""
    names = [variant.name for variant in catalogue.variants()]
    task = progress.add_task(f"Variants, {what}", total=len(names))
    results = {}
    for name in names:
        start = time.monotonic()
        run_id = dagster.launch(f"{name}_job", symbol, {"ops": {name: {"config": {"use_cache": use_cache}}}})
        run = dagster.wait(run_id, RUN_S)
        if run.status != "SUCCESS":
            msg = f"{name}: the run ended as {run.status}: {run.failure and run.failure.message}"
            raise UnavailableError(msg)
        results[name] = Launched(time.monotonic() - start, run.metadata)
        progress.advance(task)
    return results


def _table(symbol: str, first: Mapping[str, Launched], second: Mapping[str, Launched]) -> Table:
    table = Table(title="Each run from launch to end; in brackets the question alone")
    table.add_column("variant", no_wrap=True)
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
