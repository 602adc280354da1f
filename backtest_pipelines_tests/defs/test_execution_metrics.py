"""The metrics as an asset: what real executions left, in tables and numbers; and when the schedule looks again."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from backtest_pipelines.defs.execution_metrics import execution_metrics_schedule
from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.metrics import counts
from backtest_pipelines.records.totals import read_totals
from backtest_pipelines_tests.defs.runs import WEEKLY, failures_of, run_variant

UNASKED = "call_sell_future_buy_t1"


def look(location: dg.Definitions, instance: dg.DagsterInstance) -> dict[str, Any]:
    done = location.resolve_job_def("execution_metrics_job").execute_in_process(instance=instance)
    assert done.success, failures_of(done)
    (materialization,) = done.asset_materializations_for_node("execution_metrics")
    return dict(materialization.metadata)


def rows(value: Any) -> list[dict[str, Any]]:
    return [record.data for record in value.records]


def test_a_look_shows_what_was_executed_and_is_no_execution(
    location: dg.Definitions, instance: dg.DagsterInstance, market_home: Path
) -> None:
    for config in ({}, {}, {"spot_adjustment": 101.0}):
        run_variant(location, instance, config)
    first, second = look(location, instance), look(location, instance)
    assert rows(first["variants"]) == rows(second["variants"])
    (row,) = rows(first["variants"])
    assert {
        name: row[name] for name in ("variant", "executions", "failed", "success_percent", "cache_hit_percent")
    } == {
        "variant": WEEKLY,
        "executions": 3,
        "failed": 1,
        "success_percent": 66.67,
        "cache_hit_percent": 50.0,
    }
    assert 0 < row["p50_ms"] <= row["p95_ms"]
    assert rows(first["doors"]) == [{"door": "dagster", **row}]
    (error,) = rows(first["recent_errors"])
    assert (error["execution_id"], error["type"], error["door"]) == (3, "BadRequestError", "dagster")
    assert error["message"].startswith("spot_adjustment: got 101")
    for name in ("executions", "failed", "success_percent", "cache_hit_percent", "p50_ms", "p95_ms"):
        assert first[name].value == first[f"{name}: {WEEKLY}"].value == row[name]
    assert first[f"executions: {UNASKED}"].value == 0
    assert isinstance(first[f"p95_ms: {UNASKED}"], dg.NullMetadataValue)
    assert first[f"durations: {WEEKLY}"].md_str.startswith(
        "![blue: found, orange: computed](data:image/svg+xml;base64,"
    )
    assert len(first[f"durations: {WEEKLY}"].md_str) < 1000
    with Database(market_home / "executions.sqlite") as database:
        assert counts(read_totals(database)).executions == 3


def tick(instance: dg.DagsterInstance) -> dg.RunRequest | dg.SkipReason:
    with dg.build_schedule_context(instance=instance, resources={"workspace": WorkspaceResource()}) as context:
        request = execution_metrics_schedule(context)
    assert isinstance(request, dg.RunRequest | dg.SkipReason)
    return request


@pytest.mark.usefixtures("market_home")
def test_the_schedule_looks_again_only_when_something_was_executed(location: dg.Definitions) -> None:
    with dg.instance_for_test() as instance:
        assert tick(instance) == dg.SkipReason("0 executions, as at the last look")
        run_variant(location, instance)
        assert isinstance(tick(instance), dg.RunRequest)
        look(location, instance)
        assert tick(instance) == dg.SkipReason("1 executions, as at the last look")
