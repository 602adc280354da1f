"""The metrics of all executions as an asset: tables, pictures, and numbers that the UI plots from look to look.

It is a view: it reads the totals that the API's metrics are read from, and is no execution itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import dagster as dg

from backtest_pipelines.analytics.bars import stacked_bars_data_uri
from backtest_pipelines.analytics.figures import BOOKED_COLOUR, EQUITY_COLOUR
from backtest_pipelines.defs.failures import RETRY_WHEN_UNAVAILABLE, dagster_failures, skipped
from backtest_pipelines.defs.metadata import plain_value
from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.errors import BacktestError
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.records.executions import Execution
from backtest_pipelines.records.histogram import COLUMNS_PER_DECADE, histogram
from backtest_pipelines.records.metrics import counts, durations
from backtest_pipelines.records.totals import Total, read_totals
from backtest_pipelines.strategies import catalogue

EXECUTIONS: Final = "executions"
"""Name of the number of all executions in a materialization's metadata."""
SHOWN_ERRORS: Final = 10
_LONGEST_MESSAGE: Final = 300
_NUMBERS: Final = {
    EXECUTIONS: "int",
    "failed": "int",
    **dict.fromkeys(("success_percent", "cache_hit_percent", "p50_ms", "p95_ms"), "float"),
}
_ERRORS: Final = {
    "execution_id": "int",
    **dict.fromkeys(("type", "message", "variant", "symbol", "door", "started_at"), "string"),
}
_FOUND_COLOUR, _COMPUTED_COLOUR = EQUITY_COLOUR, BOOKED_COLOUR

Cells = dict[str, str | int | float | None]


@dg.asset(group_name="monitoring", kinds={"table"}, retry_policy=RETRY_WHEN_UNAVAILABLE)
def execution_metrics(workspace: WorkspaceResource) -> dg.MaterializeResult[None]:
    """Metrics of all executions, whichever door they came in by: how many, how fast, how often found, what failed."""
    with dagster_failures():
        return dg.MaterializeResult(metadata=metrics_metadata(workspace.opened))


execution_metrics_job = dg.define_asset_job(
    "execution_metrics_job",
    selection=[execution_metrics],
    description="Put on record how many executions there were, how fast, how often found, and what failed",
)


@dg.schedule(
    job=execution_metrics_job,
    cron_schedule="0 * * * *",
    execution_timezone="Asia/Kolkata",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def execution_metrics_schedule(
    context: dg.ScheduleEvaluationContext, workspace: WorkspaceResource
) -> dg.RunRequest | dg.SkipReason:
    """Each hour, unless nothing was executed since the last look."""
    event = context.instance.get_latest_materialization_event(execution_metrics.key)
    last = event.asset_materialization if event else None
    seen = last.metadata[EXECUTIONS].value if last and EXECUTIONS in last.metadata else 0
    try:
        executions = counts(read_totals(workspace.opened.database)).executions
    except BacktestError as error:
        return skipped(error)
    if executions == seen:
        return dg.SkipReason(f"{executions} executions, as at the last look")
    return dg.RunRequest()


def metrics_metadata(workspace: Workspace) -> dict[str, dg.MetadataValue]:
    """Return tables of all executions, and numbers and pictures of each variant of the catalogue.

    A rate or a time of no execution at all is null.
    """
    totals = read_totals(workspace.database)
    known = {variant.name: _of(totals, variant.name) for variant in catalogue.variants()}
    variants = sorted({total.variant for total in totals})
    return {
        "variants": _table(
            {"variant": "string", **_NUMBERS}, [{"variant": name, **_numbers(_of(totals, name))} for name in variants]
        ),
        "doors": _table({"variant": "string", "door": "string", **_NUMBERS}, _by_door(totals)),
        **{f"durations: {name}": _picture(of) for name, of in known.items()},
        **{name: plain_value(number) for name, number in _numbers(totals).items()},
        **{
            f"{name}: {variant}": plain_value(number)
            for variant, of in known.items()
            for name, number in _numbers(of).items()
        },
        "recent_errors": _table(_ERRORS, _errors(workspace, variants)),
    }


def _of(totals: Iterable[Total], variant: str) -> list[Total]:
    return [total for total in totals if total.variant == variant]


def _numbers(totals: Sequence[Total]) -> dict[str, int | float | None]:
    count, duration = counts(totals), durations(totals)
    was_asked, has_times = count.executions > 0, count.completed > 0
    return {
        EXECUTIONS: count.executions,
        "failed": count.failed,
        "success_percent": round(count.success_rate_percent, 2) if was_asked else None,
        "cache_hit_percent": round(count.cache_hit_rate_percent, 2) if has_times else None,
        "p50_ms": round(duration.p50_ms, 3) if has_times else None,
        "p95_ms": round(duration.p95_ms, 3) if has_times else None,
    }


def _by_door(totals: Sequence[Total]) -> list[Cells]:
    pairs = sorted({(total.variant, total.door) for total in totals})
    return [
        {"variant": variant, "door": door, **_numbers([total for total in _of(totals, variant) if total.door == door])}
        for variant, door in pairs
    ]


def _errors(workspace: Workspace, variants: Iterable[str]) -> list[Cells]:
    """Return the last failures, the newest first. Each variant is asked for its own, which an index answers at once."""
    failures = [row for variant in variants for row in workspace.records.last_failures(variant, SHOWN_ERRORS)]
    newest = sorted(failures, key=lambda row: row.id or 0, reverse=True)
    return [_error(row) for row in newest[:SHOWN_ERRORS]]


def _error(failure: Execution) -> Cells:
    message = failure.error_message or ""
    return {
        "execution_id": failure.id,
        "type": failure.error_type,
        "message": message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]} ...",
        "variant": failure.variant,
        "symbol": failure.symbol,
        "door": failure.door,
        "started_at": failure.started_at.strftime("%Y-%m-%d %H:%M:%SZ"),
    }


def _table(columns: Mapping[str, str], rows: Iterable[Cells]) -> dg.MetadataValue:
    schema = dg.TableSchema([dg.TableColumn(name, kind) for name, kind in columns.items()])
    return dg.MetadataValue.table([dg.TableRecord(row) for row in rows], schema)


def _picture(totals: Iterable[Total]) -> dg.MetadataValue:
    found = histogram(totals)
    if found is None:
        return dg.MetadataValue.null()
    uri = stacked_bars_data_uri(
        {_FOUND_COLOUR: found.found, _COMPUTED_COLOUR: found.computed},
        {number * COLUMNS_PER_DECADE: _duration(limit_ms) for number, limit_ms in enumerate(found.decades_ms)},
    )
    return dg.MetadataValue.md(f"![blue: found, orange: computed]({uri})")


def _duration(milliseconds: float) -> str:
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"
