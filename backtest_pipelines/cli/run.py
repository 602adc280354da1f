"""``backtest-pipelines run``: asks one question in this process and shows or writes the answer."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from backtest_pipelines.cli.output import add_output, check_output, show_answer
from backtest_pipelines.cli.question import add_question, asked

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen

HELP = "Run one backtest in this process"
EXAMPLES = """examples:
  backtest-pipelines run call_sell_future_buy_weekly
  backtest-pipelines run call_sell_future_buy_t1 --set call_sell_position=1.0 --output trades.csv
  backtest-pipelines run call_sell_future_buy_t2 --symbol BANKNIFTY --from-date 2024-07-01 --costs --json"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_question(parser)
    add_output(parser)


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Ask the question, write the trades where wanted, and show a summary."""
    check_output(arguments.output)
    question = asked(arguments)

    from backtest_pipelines.cli.home import open_workspace  # noqa: PLC0415 - numpy and pyarrow are slow to import
    from backtest_pipelines.executions.execute import execute  # noqa: PLC0415
    from backtest_pipelines.executions.request import ExecutionRequest  # noqa: PLC0415

    request = ExecutionRequest(**question, door="cli")
    with open_workspace(arguments.home) as workspace:
        executed = execute(request, workspace)
    execution = {
        "execution_id": executed.execution_id,
        "cached": executed.cached,
        "tier": executed.tier,
        "duration_ms": executed.duration_ms,
    }
    source = f"cached ({executed.tier})" if executed.cached else "computed"
    show_answer(executed.answer, execution, f"{source} in {executed.duration_ms:.1f} ms", arguments.output, screen)
    return 0
