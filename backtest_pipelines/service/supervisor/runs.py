"""Pruning Dagster's runs from a process that does not know Dagster: by another one that does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.retention.limits import RetentionLimits
from backtest_pipelines.retention.pruned import Pruned, pruned_from
from backtest_pipelines.service.supervisor.home import environment


def prune_runs(settings: Settings, limits: RetentionLimits, *, dry_run: bool) -> list[Pruned]:
    """Prune the runs of a home, and return what was pruned; nothing where no service was ever started on it.

    Raises
    ------
    UnavailableError
        If Dagster's store does not answer.
    """
    dagster_home = settings.home / "dagster"
    if not (dagster_home / "dagster.yaml").is_file():
        return []
    done = subprocess.run(
        [sys.executable, "-m", "backtest_pipelines.service.prune"],
        env={**os.environ, **environment(settings, dagster_home, None)},
        input=json.dumps({"limits": asdict(limits), "dry_run": dry_run}),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        msg = f"the runs could not be pruned: {done.stderr[-2000:].strip()}"
        raise UnavailableError(msg)
    return [pruned_from(content) for content in json.loads(done.stdout)]
