"""The sensor that notices new and corrected files in the inbox. It decides nothing itself: see `inbox`."""

from __future__ import annotations

from time import time

import dagster as dg

from backtest_pipelines.defs.daily_files import SESSIONS, daily_files, session_partitions
from backtest_pipelines.defs.failures import skipped
from backtest_pipelines.defs.inbox import Stretch, decide, look
from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.errors import BacktestError
from backtest_pipelines.graphql.names import RANGE_END_TAG, RANGE_START_TAG
from backtest_pipelines.panel.formats import peek_session
from backtest_pipelines.panel.ingest import exchange_files

daily_files_job = dg.define_asset_job(
    "daily_files_job",
    selection=[daily_files],
    description="Ingest the inbox's files of one session or a range",
)


@dg.sensor(job=daily_files_job, minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.RUNNING)
def inbox_sensor(context: dg.SensorEvaluationContext, workspace: WorkspaceResource) -> dg.SensorResult | dg.SkipReason:
    """Ingest files that are new in the inbox, or changed, once they are quiet."""
    inbox = workspace.opened.settings.inbox
    try:
        files = look(inbox, exchange_files(inbox))
    except BacktestError as error:
        return skipped(error)
    decision = decide(
        files,
        context.cursor,
        context.instance.get_dynamic_partitions(SESSIONS),
        time(),
        lambda name: peek_session(inbox / name)[1],
    )
    for name, reason in decision.bad.items():
        context.log.warning("%s is left alone until it changes: %s", name, reason)
    add = [session_partitions.build_add_request(list(decision.new_sessions))] if decision.new_sessions else []
    return dg.SensorResult(
        run_requests=[_run_request(stretch) for stretch in decision.stretches],
        skip_reason=_skip_reason(len(files), len(decision.waiting)) if not decision.stretches else None,
        dynamic_partitions_requests=add,
        cursor=decision.cursor,
    )


def _run_request(stretch: Stretch) -> dg.RunRequest:
    if stretch.first == stretch.last:
        return dg.RunRequest(run_key=stretch.key, partition_key=stretch.first)
    return dg.RunRequest(
        run_key=stretch.key,
        tags={
            RANGE_START_TAG: stretch.first,
            RANGE_END_TAG: stretch.last,
        },
    )


def _skip_reason(files: int, waiting: int) -> str:
    return f"nothing new among {files} files" + (f"; {waiting} still being written" if waiting else "")
