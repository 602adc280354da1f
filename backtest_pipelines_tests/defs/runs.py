"""Launching jobs of the code location within a test."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

WEEKLY = "call_sell_future_buy_weekly"


def run_variant(
    location: dg.Definitions,
    instance: dg.DagsterInstance,
    config: Mapping[str, Any] | None = None,
    *,
    variant: str = WEEKLY,
    symbol: str = "NIFTY",
) -> dg.ExecuteInProcessResult:
    """Run the job of a variant; a failed run is returned, not raised."""
    return location.resolve_job_def(f"{variant}_job").execute_in_process(
        instance=instance,
        partition_key=symbol,
        run_config={"ops": {variant: {"config": dict(config or {})}}},
        raise_on_error=False,
    )


def metadata_of(result: dg.ExecuteInProcessResult, asset: str = WEEKLY) -> dict[str, Any]:
    """Return the metadata of the one materialization of an asset."""
    assert result.success, failures_of(result)
    (materialization,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in materialization.metadata.items()}


def failures_of(result: dg.ExecuteInProcessResult) -> list[Any]:
    """Return the data of every failed or retried attempt of a step."""
    return [
        event.step_failure_data if event.is_step_failure else event.step_retry_data
        for event in result.all_events
        if event.is_step_failure or event.is_step_up_for_retry
    ]
