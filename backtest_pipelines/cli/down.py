"""``backtest-pipelines down``: stops what runs on a home, and returns when all of it is gone."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from backtest_pipelines.executions.settings import settings_from

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen

HELP = "Stop what runs on the home folder"
EXAMPLES = "example: backtest-pipelines down"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no arguments of its own."""


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Stop the supervisor, or what a killed one left; without either say so."""
    from backtest_pipelines.service.supervisor.home import held  # noqa: PLC0415 - this command alone
    from backtest_pipelines.service.supervisor.installation import clear_away  # noqa: PLC0415
    from backtest_pipelines.service.supervisor.status import running_state, stop_supervisor  # noqa: PLC0415

    home = settings_from(os.environ, home=arguments.home).home
    state = running_state(home)
    if state is not None:
        stop_supervisor(state)
    left = 0
    if home.exists():
        with held(home):
            left = clear_away(home)
    stopped = state is not None or left > 0
    if screen.as_json:
        screen.json({"stopped": stopped})
    else:
        screen.line(f"stopped what ran on {home}" if stopped else f"nothing runs on {home}")
    return 0
