"""The workspace that a command works with."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from backtest_pipelines.executions.settings import Settings, settings_from
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.results.redis_cache import RedisSettings


def open_workspace(home: Path | None) -> Workspace:
    """Return the workspace of ``--home`` and of the environment.

    Redis is asked only where a variable names it: one process that answers one question gains nothing from a
    cache in front of the files, and its client costs 100 ms to import.

    Raises
    ------
    BadRequestError
        Naming the variable, its value and what is allowed.
    """
    settings = settings_from(os.environ, home=home)
    return Workspace(settings if _names_redis() else replace(settings, redis=None))


def open_service_workspace(home: Path | None) -> Workspace:
    """Return the same, with the Redis that a running `up` started on the home where no variable names one.

    Raises
    ------
    BadRequestError
        Naming the variable, its value and what is allowed.
    BadDataError
        If the state file of the home is damaged.
    """
    settings = settings_from(os.environ, home=home)
    return Workspace(settings if _names_redis() else replace(settings, redis=_redis_of_service(settings)))


def _names_redis() -> bool:
    return any(os.environ.get(f"REDIS_{part}") for part in ("URL", "HOST", "PORT", "DB"))


def _redis_of_service(settings: Settings) -> RedisSettings | None:
    from backtest_pipelines.service.supervisor.status import running_state  # noqa: PLC0415 - few commands ask

    state = running_state(settings.home)
    if settings.redis is None or state is None or state.redis_url is None:
        return None
    return replace(settings.redis, url=state.redis_url)
