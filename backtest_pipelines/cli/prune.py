"""``backtest-pipelines prune``: deletes what the limits let go of, or says what that would be."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from backtest_pipelines.cli.pruned import show_pruned
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.retention.limits import DEFAULT, LIMITS, with_values

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen

HELP = "Delete old runs, executions, answers and logs"
EXAMPLES = """examples:
  backtest-pipelines prune --dry-run
  backtest-pipelines prune --keep-runs-days 30 --most-answers-mb 2000"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--dry-run", action="store_true", help="change nothing, say what would be pruned")
    for name, limit in LIMITS.items():
        parser.add_argument(
            f"--{name.replace('_', '-')}", metavar="N", help=f"{limit.meaning}; default {getattr(DEFAULT, name)}"
        )


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Prune, and report each kind."""
    from backtest_pipelines.executions.retention import prune_home  # noqa: PLC0415 - this command alone
    from backtest_pipelines.executions.workspace import Workspace  # noqa: PLC0415
    from backtest_pipelines.service.supervisor.runs import prune_runs  # noqa: PLC0415

    settings = settings_from(os.environ, home=arguments.home)
    given = {name: value for name in LIMITS if (value := getattr(arguments, name)) is not None}
    limits = with_values(settings.retention, given)
    with Workspace(settings) as workspace:
        pruned = [
            *prune_runs(settings, limits, dry_run=arguments.dry_run),
            *prune_home(workspace, limits, dry_run=arguments.dry_run),
        ]
    show_pruned(pruned, screen, dry_run=arguments.dry_run)
    return 0
