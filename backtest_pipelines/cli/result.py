"""``backtest-pipelines result``: shows or writes the answer to a job of the service."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from backtest_pipelines.cli.output import add_output, check_output, show_answer
from backtest_pipelines.cli.remote import add_job, duration, service

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen
    from backtest_pipelines.client import Job

HELP = "Show the answer to a job"
EXAMPLES = """examples:
  backtest-pipelines result 1e4b7a3c-6a0f-4f5e-9d57-0c3a0f5d8a11
  backtest-pipelines result 1e4b7a3c-6a0f-4f5e-9d57-0c3a0f5d8a11 --output trades.csv"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_job(parser)
    add_output(parser)


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Fetch the answer, write the trades where wanted, and show a summary."""
    check_output(arguments.output)
    with service(arguments) as client:
        show_result(client.job(arguments.job_id), arguments.output, screen)
    return 0


def show_result(job: Job, output: Path | None, screen: Screen) -> None:
    """Fetch the answer to a job, write its trades where wanted, and show a summary.

    Raises
    ------
    JobNotFinishedError, JobFailedError, JobCancelledError
        If there is no answer.
    MissingDataError
        If it is not kept any more.
    """
    result = job.result()
    now = job.snapshot
    execution = {
        "job_id": job.job_id,
        "execution_id": now.execution_id,
        "attempts": now.attempts,
        "duration_ms": now.duration_ms,
    }
    show_answer(result, execution, f"job {job.job_id}, in {duration(job)}", output, screen)
