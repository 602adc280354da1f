"""``backtest-pipelines cancel``: cancels a job of the service, waiting or running."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from backtest_pipelines.cli.remote import add_job, job_content, service

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen

HELP = "Cancel a job"
EXAMPLES = "example: backtest-pipelines cancel 1e4b7a3c-6a0f-4f5e-9d57-0c3a0f5d8a11"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_job(parser)


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Ask for the cancelling, and say how the job stands."""
    with service(arguments) as client:
        client.cancel(arguments.job_id)
        job = client.job(arguments.job_id)
    if screen.as_json:
        screen.json(job_content(job))
    else:
        screen.line(f"job {job.job_id} is {job.snapshot.state}")
    return 0
