"""The options that ask a question, for every command that takes one."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from backtest_pipelines.cli.phases import read_phases
from backtest_pipelines.errors import BadRequestError


class Asked(TypedDict):
    """The parts of a question as they were typed, and whether a kept answer is good enough."""

    variant: str
    symbol: str
    parameters: dict[str, object]
    from_date: str | None
    to_date: str | None
    phases: Sequence[tuple[str, str]]
    exit_at_expiry: str
    costs: bool
    brokerage_inr_per_order: str | None
    use_cache: bool


def add_question(parser: argparse.ArgumentParser) -> None:
    """Add the variant and the options of a question."""
    parser.add_argument("variant", metavar="VARIANT", help="a name that the command strategies lists")
    parser.add_argument("--symbol", default="NIFTY", help="NIFTY (default), BANKNIFTY or FINNIFTY")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter of the variant; may be given several times",
    )
    parser.add_argument("--from-date", metavar="DATE", help="leave out data before this ISO date")
    parser.add_argument("--to-date", metavar="DATE", help="leave out data after this ISO date")
    parser.add_argument("--phases", type=Path, metavar="FILE.csv", help="trading phases: columns start,end")
    parser.add_argument(
        "--exit-at-expiry",
        default="close",
        metavar="PRICE",
        help="price of the call on its expiry day: close (default) or intrinsic",
    )
    parser.add_argument("--costs", action="store_true", help="compute charges and P&L after charges")
    parser.add_argument("--brokerage", metavar="INR", help="brokerage an order, with --costs (default 20)")
    parser.add_argument("--no-cache", action="store_true", help="compute afresh; the answer is kept all the same")


def asked(arguments: argparse.Namespace) -> Asked:
    """Return the parts of the question by name, not yet checked.

    Raises
    ------
    BadRequestError
        If a setting is no NAME=VALUE, or the file of phases is none.
    """
    return {
        "variant": arguments.variant,
        "symbol": arguments.symbol,
        "parameters": _parameters(arguments.settings),
        "from_date": arguments.from_date,
        "to_date": arguments.to_date,
        "phases": read_phases(arguments.phases) if arguments.phases else (),
        "exit_at_expiry": arguments.exit_at_expiry,
        "costs": arguments.costs,
        "brokerage_inr_per_order": arguments.brokerage,
        "use_cache": not arguments.no_cache,
    }


def _parameters(texts: list[str]) -> dict[str, object]:
    """Return the parameters of ``--set NAME=VALUE``, by name."""
    parameters: dict[str, object] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value:
            raise BadRequestError("--set", text, "allowed: NAME=VALUE, such as --set call_sell_position=1.0")
        if name in parameters:
            raise BadRequestError("--set", text, f"allowed: each parameter once; {name}={parameters[name]} came before")
        parameters[name] = value
    return parameters
