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
    from backtest_pipelines.service.supervisor.installation import end_leftovers  # noqa: PLC0415 - this command alone
    from backtest_pipelines.service.supervisor.state import read_state, remove_state  # noqa: PLC0415
    from backtest_pipelines.service.supervisor.status import stop_supervisor  # noqa: PLC0415

    home = settings_from(os.environ, home=arguments.home).home
    state = read_state(home)
    stopped = 0
    if state is not None:
        if state.supervisor.is_alive():
            stop_supervisor(state)
            stopped = 1
        stopped += end_leftovers(state)
        remove_state(home)
    if screen.as_json:
        screen.json({"stopped": stopped > 0})
    else:
        screen.line(f"stopped what ran on {home}" if stopped else f"nothing runs on {home}")
    return 0
