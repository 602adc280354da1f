"""One asset and one job for each variant of the catalogue, partitioned by symbol; its config is the question.

There is no postponed evaluation of annotations in this module: Dagster reads the config class from them.
"""

from collections.abc import Iterator

import dagster as dg

from backtest_pipelines.defs.config import QuestionConfig, config_class, request
from backtest_pipelines.defs.failures import RETRY_WHEN_UNAVAILABLE, dagster_failures
from backtest_pipelines.defs.metadata import execution_metadata
from backtest_pipelines.defs.panels import panels, symbol_partitions
from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.executions.execute import Executed, execute
from backtest_pipelines.graphql.names import JOB_ID_TAG, RETRY_NUMBER_TAG
from backtest_pipelines.logs import log_context
from backtest_pipelines.strategies import catalogue
from backtest_pipelines.strategies.variants import Variant

STRATEGIES = "strategies"
"""Group of the variants' assets."""


@dg.definitions
def variants() -> dg.Definitions:
    """Return the assets and jobs of the whole catalogue."""
    entries = catalogue.variants()
    return dg.Definitions(
        assets=[variant_asset(variant) for variant in entries],
        jobs=[
            dg.define_asset_job(
                name=f"{variant.name}_job",
                selection=[variant.name],
                description=variant.description,
            )
            for variant in entries
        ],
    )


def variant_asset(variant: Variant) -> dg.AssetsDefinition:
    """Return the asset of a variant."""

    def compute(
        context: dg.AssetExecutionContext, config: QuestionConfig, workspace: WorkspaceResource
    ) -> Iterator[dg.MaterializeResult[Executed]]:
        with dagster_failures():
            executed = execute(
                request(
                    variant,
                    context.partition_key,
                    config,
                    run_id=context.run.run_id,
                    job_id=context.run.tags.get(JOB_ID_TAG),
                    attempt=int(context.run.tags.get(RETRY_NUMBER_TAG, "0")) + context.retry_number + 1,
                ),
                workspace.opened,
            )
            metadata = execution_metadata(executed)
        with log_context(execution_id=executed.execution_id):  # while Dagster keeps the output and notes it
            yield dg.MaterializeResult(
                value=executed, data_version=dg.DataVersion(executed.fingerprint), metadata=metadata
            )

    compute.__annotations__["config"] = config_class(variant)
    return dg.asset(
        name=variant.name,
        description=f"{variant.description}. Give the question as config; equal questions are computed once.",
        partitions_def=symbol_partitions,
        deps=[panels],
        io_manager_key="answers",
        group_name=STRATEGIES,
        kinds={"backtest"},
        code_version=str(variant.revision),
        retry_policy=RETRY_WHEN_UNAVAILABLE,
    )(compute)
