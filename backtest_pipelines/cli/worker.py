"""``backtest-pipelines worker``: one more worker for an installation, on this machine or another."""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from backtest_pipelines.cli.telling import teller
from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.executions.settings import Settings, settings_from

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen

HELP = "Run one more worker against the same database and broker"
EXAMPLES = """examples:
  backtest-pipelines worker --workers 4
  BACKTEST_POSTGRES_URL=postgresql://... REDIS_URL=redis://... backtest-pipelines worker"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--workers", metavar="N", help="runs at the same time (or BACKTEST_WORKERS); default 2")


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Become the worker."""
    from backtest_pipelines.service.supervisor import home as homes  # noqa: PLC0415 - this command alone

    environ = dict(os.environ)
    if arguments.workers is not None:
        environ["BACKTEST_WORKERS"] = arguments.workers
    settings = settings_from(environ, home=arguments.home)
    settings = replace(settings, home=settings.home.resolve())
    redis_url = _redis_url(settings)
    dagster_home = homes.prepare_dagster_home(settings)
    tell = teller(settings.logs, "worker", screen)
    tell("this worker ends on Ctrl-C or SIGTERM, when the runs under way have ended")
    os.execve(  # noqa: S606 - one process less
        sys.executable,
        [sys.executable, "-m", "backtest_pipelines.service.worker"],
        environ | homes.environment(settings, dagster_home, redis_url),
    )


def _redis_url(settings: Settings) -> str | None:
    """Return the address of the installation's own Redis, or None where the environment names one.

    Raises
    ------
    BadRequestError
        If the environment does not name what several machines share, and no installation runs on the home.
    """
    from backtest_pipelines.service.supervisor.status import running_state  # noqa: PLC0415 - this command alone

    named = bool(os.environ.get("REDIS_URL") or os.environ.get("REDIS_HOST"))
    state = running_state(settings.home)
    if settings.postgres_url is None and state is None:
        limit = (
            f"nothing runs on {settings.home}: start it with `up`, or name the database of an installation elsewhere"
        )
        raise BadRequestError("BACKTEST_POSTGRES_URL", None, limit)
    if named:
        return None
    if state is None or state.redis_url is None:
        raise BadRequestError("REDIS_URL", None, "name the broker of the installation")
    return state.redis_url
