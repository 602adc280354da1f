"""``backtest-pipelines submit``: gives one question to the service, and waits for the answer where wanted."""

from __future__ import annotations

import argparse
import math
from typing import TYPE_CHECKING

from backtest_pipelines.cli.question import add_question, asked
from backtest_pipelines.cli.remote import add_url, service, show_job
from backtest_pipelines.errors import BadRequestError

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen
    from backtest_pipelines.client import Job

HELP = "Submit one backtest to the service"
EXAMPLES = """examples:
  backtest-pipelines submit call_sell_future_buy_weekly
  backtest-pipelines submit call_sell_future_buy_t1 --set call_sell_position=1.0 --wait
  backtest-pipelines submit call_sell_future_buy_t2 --request-id monday-1 --wait --timeout 60 --json"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_question(parser)
    parser.add_argument(
        "--request-id", metavar="ID", help="your name for this submission: the same one again is the same job"
    )
    parser.add_argument("--wait", action="store_true", help="wait for the answer and show it")
    parser.add_argument("--timeout", metavar="S", help="with --wait: seconds to wait at most; the job goes on")
    add_url(parser)


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Submit the question; print the id of its job, or its answer."""
    timeout_s = _seconds(arguments)
    question = asked(arguments)
    with service(arguments) as client:
        job = client.submit(**question, request_id=arguments.request_id)
        if arguments.wait:
            screen.message(f"job {job.job_id}")
            _wait(job, timeout_s, screen)

            from backtest_pipelines.cli.result import show_result  # noqa: PLC0415 - only who waits

            show_result(client.job(job.job_id), None, screen)
        elif screen.as_json:
            show_job(job, screen)
        else:
            screen.line(job.job_id)
    return 0


def _wait(job: Job, timeout_s: float | None, screen: Screen) -> None:
    with screen.progress(f"{job.variant} {job.symbol}, percent") as on_step:
        job.wait(timeout_s, on_change=lambda now: on_step(round(100 * now.progress), 100))


def _seconds(arguments: argparse.Namespace) -> float | None:
    text = arguments.timeout
    if text is None:
        return None
    if not arguments.wait:
        raise BadRequestError("--timeout", text, "allowed: only with --wait")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise BadRequestError("--timeout", text, "allowed: seconds, 0 or more")
    return seconds
