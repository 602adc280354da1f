"""``backtest-pipelines jobs``: lists what was submitted to the service, the newest first."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from backtest_pipelines.cli.remote import add_url, duration, job_content, service
from backtest_pipelines.errors import BadRequestError

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen

HELP = "List the jobs of the service"
EXAMPLES = """examples:
  backtest-pipelines jobs
  backtest-pipelines jobs --status failed --variant call_sell_future_buy_weekly --limit 10"""
COLUMNS = ("job", "state", "variant", "symbol", "submitted (UTC)", "attempts", "trades", "computing", "error")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--status", help="pending, running, completed or failed alone")
    parser.add_argument("--variant", help="those of one variant alone")
    parser.add_argument("--limit", default="50", metavar="N", help="how many at most (default 50)")
    add_url(parser)


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Print the jobs."""
    if not arguments.limit.isdecimal():
        raise BadRequestError("limit", arguments.limit, "allowed: a whole number from 1")
    with service(arguments) as client:
        jobs = client.jobs(arguments.status, arguments.variant, int(arguments.limit))
    if screen.as_json:
        screen.json({"jobs": [job_content(job) for job in jobs]})
        return 0
    rows = [
        (
            job.job_id,
            job.snapshot.state,
            job.variant,
            job.symbol,
            f"{job.submitted_at:%Y-%m-%d %H:%M:%S}",
            str(job.snapshot.attempts),
            "-" if job.snapshot.row_count is None else str(job.snapshot.row_count),
            duration(job),
            job.snapshot.error.type if job.snapshot.error else "-",
        )
        for job in jobs
    ]
    screen.table("Jobs, the newest first", COLUMNS, rows)
    return 0
