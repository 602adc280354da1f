"""``backtest-pipelines run``: asks one question in this process and shows or writes the answer."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from backtest_pipelines.cli.phases import read_phases
from backtest_pipelines.errors import BadRequestError

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen

HELP = "Run one backtest in this process"
EXAMPLES = """examples:
  backtest-pipelines run call_sell_future_buy_weekly
  backtest-pipelines run call_sell_future_buy_t1 --set call_sell_position=1.0 --output trades.csv
  backtest-pipelines run call_sell_future_buy_t2 --symbol BANKNIFTY --from-date 2024-07-01 --costs --json"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
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
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the trades: .csv, .json or .parquet by the ending"
    )
    parser.add_argument("--no-cache", action="store_true", help="compute afresh; the answer is kept all the same")


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Ask the question, write the trades where wanted, and show a summary."""
    from backtest_pipelines.results.exports import check_export_path, export  # noqa: PLC0415 - slow to import

    output: Path | None = arguments.output
    if output is not None:
        check_export_path(output)
    parameters = parse_settings(arguments.settings)
    phases = read_phases(arguments.phases) if arguments.phases else ()

    from backtest_pipelines.cli import summary  # noqa: PLC0415 - numpy and pyarrow are slow to import
    from backtest_pipelines.cli.home import open_workspace  # noqa: PLC0415
    from backtest_pipelines.executions.execute import ExecutionRequest, execute  # noqa: PLC0415

    request = ExecutionRequest(
        variant=arguments.variant,
        symbol=arguments.symbol,
        parameters=parameters,
        from_date=arguments.from_date,
        to_date=arguments.to_date,
        phases=phases,
        exit_at_expiry=arguments.exit_at_expiry,
        costs=arguments.costs,
        brokerage_inr_per_order=arguments.brokerage,
        use_cache=not arguments.no_cache,
        door="cli",
    )
    with open_workspace(arguments.home) as workspace:
        executed = execute(request, workspace)
    exported = None if output is None else export(executed.answer, output)
    if screen.as_json:
        screen.json(summary.content(executed, exported))
    else:
        screen.pairs("Backtest", summary.lines(executed, exported))
    return 0


def parse_settings(texts: list[str]) -> dict[str, object]:
    """Return the parameters of ``--set NAME=VALUE``, by name.

    Raises
    ------
    BadRequestError
        A text has no ``=``, no name or no value, or a name comes twice.
    """
    parameters: dict[str, object] = {}
    for text in texts:
        name, _, value = (part.strip() for part in text.partition("="))
        if not name or not value:
            raise BadRequestError("--set", text, "allowed: NAME=VALUE, such as --set call_sell_position=1.0")
        if name in parameters:
            raise BadRequestError("--set", text, f"allowed: each parameter once; {name}={parameters[name]} came before")
        parameters[name] = value
    return parameters
