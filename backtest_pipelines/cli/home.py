"""The workspace that a command works with."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.executions.workspace import Workspace


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
    named = any(os.environ.get(f"REDIS_{part}") for part in ("URL", "HOST", "PORT", "DB"))
    return Workspace(settings if named else replace(settings, redis=None))
