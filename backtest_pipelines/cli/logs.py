"""``backtest-pipelines logs``: prints what Dagster noted of a job's last attempt."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from backtest_pipelines.cli.remote import add_job, service

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen
    from backtest_pipelines.client import Client
    from backtest_pipelines.graphql.replies import LogLine

HELP = "Print the log of a job"
EXAMPLES = """examples:
  backtest-pipelines logs 1e4b7a3c-6a0f-4f5e-9d57-0c3a0f5d8a11
  backtest-pipelines logs 1e4b7a3c-6a0f-4f5e-9d57-0c3a0f5d8a11 --follow"""
FOLLOW_S = 0.5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_job(parser)
    parser.add_argument("--follow", action="store_true", help="go on until the job has ended")


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Print the lines; with JSON all at the end."""
    with service(arguments) as client:
        lines = _lines(client, arguments.job_id, follow=arguments.follow)
        if screen.as_json:
            screen.json({"job_id": arguments.job_id, "lines": [_content(line) for line in lines]})
            return 0
        for line in lines:
            step = f" {line.step}" if line.step else ""
            screen.line(f"{line.at:%Y-%m-%d %H:%M:%S.%f} {line.level}{step}: {line.message}")
    return 0


def _lines(client: Client, job_id: str, *, follow: bool) -> Iterator[LogLine]:
    job, log = client.job(job_id), None
    while True:
        # Asked before the lines are read: what is noted until a job has ended is read after it.
        finished = job.status().finished
        log = job.logs(after=log)
        yield from log.lines
        if log.has_more:
            continue
        if finished or not follow:
            return
        time.sleep(FOLLOW_S)


def _content(line: LogLine) -> dict[str, str | None]:
    return {"at": line.at.isoformat(), "level": line.level, "step": line.step, "message": line.message}
