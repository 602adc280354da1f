"""``backtest-pipelines sample``: writes the invented market in the exchange's file formats."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from backtest_pipelines.errors import BadRequestError

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen

HELP = "Write a sample market of invented prices, in the exchange's own file formats"
EXAMPLES = "example: backtest-pipelines sample market"
DEFAULT_SEED = 20240501


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="a folder that is empty or does not exist")
    parser.add_argument("--seed", default=DEFAULT_SEED, metavar="N", help=f"another market (default {DEFAULT_SEED})")
    parser.add_argument("--from-date", default="2024-05-01", metavar="DATE", help="first day (default 2024-05-01)")
    parser.add_argument("--to-date", default="2025-10-31", metavar="DATE", help="last day (default 2025-10-31)")


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Write the market and say how large it is."""
    seed = _seed(arguments.seed)
    first, last = _day("from_date", arguments.from_date), _day("to_date", arguments.to_date)

    from backtest_pipelines.market.sample import write_sample_market  # noqa: PLC0415 - numpy is slow to import

    with screen.progress("sessions written") as on_step:
        summary = write_sample_market(
            arguments.folder,
            seed=seed,
            first=first,
            last=last,
            on_session=lambda _session, done, total: on_step(done, total),
        )
    found = {
        "folder": str(arguments.folder),
        "sessions": summary.sessions,
        "files": summary.files,
        "rows": summary.rows,
    }
    if screen.as_json:
        screen.json(found)
        return 0
    screen.pairs("Sample market (invented prices)", {name: str(value) for name, value in found.items()})
    screen.line(f"next: backtest-pipelines ingest {arguments.folder}")
    return 0


def _seed(text: str | int) -> int:
    try:
        return int(text)
    except ValueError:
        raise BadRequestError("seed", text, "allowed: a whole number") from None


def _day(field: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadRequestError(field, text, "allowed: an ISO date such as 2024-05-01") from None
