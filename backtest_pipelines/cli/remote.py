"""What the commands share that ask a running service: its address, and how a job is shown."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from backtest_pipelines.errors import UnavailableError

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen
    from backtest_pipelines.client import Client, Job

SHOWN_APART = ("variant", "symbol", "parameters", "request_id")


def add_url(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the service."""
    parser.add_argument("--url", help="address of the service (or BACKTEST_API_URL); default http://127.0.0.1:8000")


def add_job(parser: argparse.ArgumentParser) -> None:
    """Add the job, and the option that names the service."""
    parser.add_argument("job_id", metavar="ID", help="a job id that the commands submit and jobs print")
    add_url(parser)


@contextmanager
def service(arguments: argparse.Namespace) -> Iterator[Client]:
    """Yield a client of the service that the arguments or the environment name.

    Raises
    ------
    UnavailableError
        If no service answers there within a second: a command shall not wait for one that was never started.
    BadRequestError
        If the address is none.
    """
    from backtest_pipelines.client import Client  # noqa: PLC0415 - only who asks a service pays for it

    with Client(arguments.url) as client:
        try:
            client.ping()
        except UnavailableError as error:
            msg = f"{error}; start it: backtest-pipelines up"
            raise UnavailableError(msg) from error
        yield client


def show_job(job: Job, screen: Screen) -> None:
    """Print a job, as JSON or for people."""
    if screen.as_json:
        screen.json(job_content(job))
        return
    now = job.snapshot
    shown = {
        "job": job.job_id,
        "state": now.state,
        "progress": f"{now.progress:.0%}",
        "variant": job.variant,
        "symbol": job.symbol,
        "parameters": _pairs(job.request["parameters"]),
        "asked": _pairs({name: value for name, value in job.request.items() if name not in SHOWN_APART}),
        "submitted": f"{job.submitted_at:%Y-%m-%d %H:%M:%S} UTC",
        "attempts": str(now.attempts),
        "run": now.run_id or "-",
        "request id": job.request_id or "-",
    }
    if now.status == "completed":
        shown |= {"trades": str(now.row_count), "computing": duration(job), "fingerprint": str(now.fingerprint)}
    if now.error is not None:
        shown["error"] = f"{now.error.type}: {now.error.message}"
    screen.pairs("Job", shown)


def job_content(job: Job) -> dict[str, object]:
    """Return a job as the service's own JSON has it."""
    return {
        "job_id": job.job_id,
        "request_id": job.request_id,
        "variant": job.variant,
        "symbol": job.symbol,
        "request": dict(job.request),
        "submitted_at": job.submitted_at.isoformat(),
        **asdict(job.snapshot),
    }


def _pairs(content: Mapping[str, object]) -> str:
    given = {name: value for name, value in content.items() if value is not None and value != []}
    return ", ".join(f"{name} {value}" for name, value in given.items()) or "-"


def duration(job: Job) -> str:
    """Return how long the question took, for people."""
    return "-" if job.snapshot.duration_ms is None else f"{job.snapshot.duration_ms:.1f} ms"
