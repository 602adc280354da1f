"""Pruning a home: what the limits let go of executions, answers and logs. Runs are Dagster's, and pruned elsewhere."""

from __future__ import annotations

from pathlib import Path

from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.records.pruning import prune_executions
from backtest_pipelines.results.pruning import prune_answers
from backtest_pipelines.retention.limits import DAY_S, IN_USE_S, MB, RetentionLimits
from backtest_pipelines.retention.logs import prune_logs
from backtest_pipelines.retention.pruned import Pruned


def prune_home(workspace: Workspace, limits: RetentionLimits, *, dry_run: bool = False) -> list[Pruned]:
    """Prune records of executions, answers and logs of processes; return what was pruned of each.

    Parameters
    ----------
    workspace : Workspace
    limits : RetentionLimits
    dry_run : bool
        Change nothing.

    Raises
    ------
    UnavailableError
        If the database does not answer.
    """
    logs = workspace.settings.home / "logs"
    return [
        _executions(workspace, limits, dry_run=dry_run),
        prune_answers_of(workspace, limits, dry_run=dry_run),
        prune_logs(logs, older_than_s=limits.keep_logs_days * DAY_S, dry_run=dry_run),
    ]


def prune_answers_of(workspace: Workspace, limits: RetentionLimits, *, dry_run: bool = False) -> Pruned:
    """Prune the answers alone; see `prune_home` for the parameters."""
    settings = workspace.settings
    return prune_answers(
        settings.home / "answers",
        older_than_s=limits.keep_answers_days * DAY_S,
        most_bytes=limits.most_answers_mb * MB,
        in_use_s=IN_USE_S if settings.redis is None else max(IN_USE_S, settings.redis.ttl_s),
        dry_run=dry_run,
    )


def _executions(workspace: Workspace, limits: RetentionLimits, *, dry_run: bool) -> Pruned:
    location = workspace.settings.database
    if isinstance(location, Path) and not location.exists():
        return Pruned("executions", 0, 0, 0, None)  # to look into it would make it
    return prune_executions(
        workspace.database,
        older_than_s=limits.keep_executions_days * DAY_S,
        most=limits.most_executions,
        dry_run=dry_run,
    )
