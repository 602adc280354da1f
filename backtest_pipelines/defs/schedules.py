"""The evening schedule: after the exchange has published, panels and all variants with their defaults."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg

from backtest_pipelines.defs.failures import skipped
from backtest_pipelines.defs.panels import panels
from backtest_pipelines.defs.variants import STRATEGIES
from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.errors import BacktestError, MissingDataError
from backtest_pipelines.market.symbols import SYMBOLS

evening_job = dg.define_asset_job(
    "evening_job",
    selection=dg.AssetSelection.assets(panels) | dg.AssetSelection.groups(STRATEGIES),
    description="The panel of a symbol and every variant on it, with defaults",
)


@dg.schedule(
    job=evening_job,
    cron_schedule="0 20 * * *",
    execution_timezone="Asia/Kolkata",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def evening_schedule(
    context: dg.ScheduleEvaluationContext, workspace: WorkspaceResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Run the evening job for each symbol that has a panel. What is known already is not computed again."""
    try:
        symbols = [symbol for symbol in SYMBOLS if _has_panel(workspace, symbol)]
    except BacktestError as error:
        yield skipped(error)
        return
    if not symbols:
        yield dg.SkipReason("no panel yet: put the exchange's files in the inbox")
    for symbol in symbols:
        yield dg.RunRequest(run_key=f"{symbol}:{context.scheduled_execution_time.isoformat()}", partition_key=symbol)


def _has_panel(workspace: WorkspaceResource, symbol: str) -> bool:
    try:
        workspace.opened.panels.symbol(symbol)
    except MissingDataError:
        return False
    return True
