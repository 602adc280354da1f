"""``backtest-pipelines ingest``: reads exchange files into the panels and names every file that is bad."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from backtest_pipelines.errors import BadDataError

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen
    from backtest_pipelines.panel.ingest import IngestReport, Status

HELP = "Read a folder of exchange files; files that were read before are recognised"
EXAMPLES = """examples:
  backtest-pipelines ingest market
  backtest-pipelines ingest bhavcopies --calendar trading_days.csv --calendar NIFTY_expiries.csv

exit code 3 when any file is bad; every good file is kept all the same"""
COUNTED: tuple[Status, ...] = ("added", "replaced", "unchanged")
NAMED: tuple[Status, ...] = ("ignored", "bad")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="searched with all its sub-folders")
    parser.add_argument(
        "--calendar",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a csv of sessions or expiries; may be given several times",
    )


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Ingest the files and report what became of each."""
    from backtest_pipelines.cli.home import open_workspace  # noqa: PLC0415 - numpy and pyarrow are slow to import
    from backtest_pipelines.panel.ingest import exchange_files, ingest  # noqa: PLC0415

    with open_workspace(arguments.home) as workspace:
        paths = exchange_files(arguments.folder)
        with screen.progress("files read") as on_step:
            report = ingest(paths, workspace.panels, calendars=arguments.calendar, on_file=on_step)
    if screen.as_json:
        screen.json(_content(report))
    else:
        _show(report, screen)
    for outcome in report.bad:
        screen.message(f"bad file: {outcome.name}: {outcome.reason}")
    if report.bad:
        screen.message(f"{len(report.bad)} of {len(report.files)} files are bad: replace them; the good ones are kept")
    return BadDataError.exit_code if report.bad else 0


def _content(report: IngestReport) -> dict[str, object]:
    counts: dict[str, object] = {status: len(report.with_status(status)) for status in COUNTED}
    named: dict[str, object] = {
        status: [{"name": outcome.name, "reason": outcome.reason} for outcome in report.with_status(status)]
        for status in NAMED
    }
    return {
        "duration_s": report.duration_s,
        **counts,
        **named,
        "sessions_total": dict(report.sessions_total),
        "rows_total": dict(report.rows_total),
    }


def _show(report: IngestReport, screen: Screen) -> None:
    title = f"{len(report.files)} files in {report.duration_s:.1f} s"
    screen.pairs(title, {status: str(len(report.with_status(status))) for status in (*COUNTED, *NAMED)})
    if ignored := report.with_status("ignored"):
        screen.table("Ignored files", ("file", "reason"), ((file.name, file.reason) for file in ignored))
    totals = (
        (symbol, str(sessions), str(report.rows_total[symbol])) for symbol, sessions in report.sessions_total.items()
    )
    screen.table("Panels", ("symbol", "sessions", "rows"), totals)
