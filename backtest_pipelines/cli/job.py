"""``backtest-pipelines job``: shows how one job of the service stands."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from backtest_pipelines.cli.remote import add_job, service, show_job

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen

HELP = "Show how a job stands"
EXAMPLES = "example: backtest-pipelines job 1e4b7a3c-6a0f-4f5e-9d57-0c3a0f5d8a11"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_job(parser)


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Print the job."""
    with service(arguments) as client:
        show_job(client.job(arguments.job_id), screen)
    return 0
