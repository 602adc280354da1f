"""The panels, one partition a symbol: the exchange's prices in the columns that the engine reads."""

import dagster as dg

from backtest_pipelines.defs.daily_files import daily_files
from backtest_pipelines.defs.failures import RETRY_WHEN_UNAVAILABLE, dagster_failures
from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.market.symbols import SYMBOLS

symbol_partitions = dg.StaticPartitionsDefinition(list(SYMBOLS))


@dg.asset(
    partitions_def=symbol_partitions,
    deps=[dg.AssetDep(daily_files, partition_mapping=dg.AllPartitionMapping())],
    group_name="market_data",
    kinds={"arrow"},
    retry_policy=RETRY_WHEN_UNAVAILABLE,
)
def panels(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> dg.MaterializeResult[None]:
    """Prices of every contract of a symbol on every session that was ingested."""
    with dagster_failures():
        panel = workspace.opened.panels.symbol(context.partition_key)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(panel.digest),
        metadata={
            "sessions": panel.session_count,
            "rows": panel.row_count,
            "first_session": panel.first_session.isoformat(),
            "last_session": panel.last_session.isoformat(),
            "digest": panel.digest,
        },
    )


panels_job = dg.define_asset_job(
    "panels_job",
    selection=[panels],
    description="Put on record what the panel of a symbol holds",
)
