"""Retention: a job that prunes what the limits let go of, each night, and says what it did.

There is no postponed evaluation of annotations in this module: Dagster reads the config class.
"""

from typing import Any

import dagster as dg
from pydantic import Field

from backtest_pipelines.defs.failures import RETRY_WHEN_UNAVAILABLE, dagster_failures
from backtest_pipelines.defs.run_pruning import prune_runs
from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.executions.retention import prune_home
from backtest_pipelines.retention.limits import DEFAULT, LIMITS, VARIABLE, with_values
from backtest_pipelines.retention.pruned import Pruned

TEXTS = ("kind", "oldest_kept")


def _limit(name: str) -> Any:  # noqa: ANN401 - what pydantic gives for a field
    limit = LIMITS[name]
    default = f"Default: that of {VARIABLE}, else {getattr(DEFAULT, name)}"
    return Field(default=None, description=f"{limit.meaning}; {limit.low} to {limit.high}. {default}")


class RetentionConfig(dg.Config):
    """What is kept, and whether anything is deleted."""

    keep_runs_days: int | None = _limit("keep_runs_days")
    most_runs: int | None = _limit("most_runs")
    keep_executions_days: int | None = _limit("keep_executions_days")
    most_executions: int | None = _limit("most_executions")
    keep_answers_days: int | None = _limit("keep_answers_days")
    most_answers_mb: int | None = _limit("most_answers_mb")
    keep_logs_days: int | None = _limit("keep_logs_days")
    dry_run: bool = Field(default=False, description="true: change nothing, say what would be pruned. Default: false")


@dg.op(retry_policy=RETRY_WHEN_UNAVAILABLE)
def prune(context: dg.OpExecutionContext, config: RetentionConfig, workspace: WorkspaceResource) -> None:
    """Prune runs, executions, answers and logs; the totals of the metrics stay."""
    opened = workspace.opened
    with dagster_failures():
        given = {name: value for name in LIMITS if (value := getattr(config, name)) is not None}
        limits = with_values(opened.settings.retention, given)
        pruned = [
            *prune_runs(context.instance, opened.database, limits, dry_run=config.dry_run),
            *prune_home(opened, limits, dry_run=config.dry_run),
        ]
    for kind in pruned:
        context.log.info("%s: %d pruned, %d bytes, %d kept", kind.kind, kind.count, kind.bytes, kind.kept)
    context.add_output_metadata({"dry_run": config.dry_run, "pruned": _table(pruned)})


@dg.job(description="Prune old runs, executions, answers and logs; with dry_run only say what would be pruned")
def retention_job() -> None:
    """Prune what the limits let go of."""
    prune()


retention_schedule = dg.ScheduleDefinition(
    name="retention_schedule",
    job=retention_job,
    cron_schedule="30 3 * * *",
    execution_timezone="Asia/Kolkata",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Each night, while nobody trades or looks",
)


def _table(pruned: list[Pruned]) -> dg.TableMetadataValue:
    records = [dg.TableRecord(kind.content()) for kind in pruned]  # type: ignore[arg-type]
    columns = [dg.TableColumn(name, "string" if name in TEXTS else "int") for name in pruned[0].content()]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))
