"""What the code location offers: a list that changes only on purpose."""

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest

from backtest_pipelines.definitions import defs
from backtest_pipelines.defs.config import config_class
from backtest_pipelines.strategies import catalogue

VARIANTS = ["call_sell_future_buy_t1", "call_sell_future_buy_t2", "call_sell_future_buy_weekly"]


def test_every_asset_job_schedule_and_sensor_is_known(location: dg.Definitions) -> None:
    repository = location.get_repository_def()
    graph = repository.asset_graph
    assert {
        key.to_user_string(): (
            type(graph.get(key).partitions_def).__name__,
            graph.get(key).group_name,
            sorted(parent.to_user_string() for parent in graph.get(key).parent_keys),
        )
        for key in graph.get_all_asset_keys()
    } == {
        "daily_files": ("DynamicPartitionsDefinition", "market_data", []),
        "panels": ("StaticPartitionsDefinition", "market_data", ["daily_files"]),
        **{name: ("StaticPartitionsDefinition", "strategies", ["panels"]) for name in VARIANTS},
        "execution_metrics": ("NoneType", "monitoring", []),
    }
    assert sorted(repository.job_names) == [
        "__ASSET_JOB",
        *(f"{name}_job" for name in VARIANTS),
        "daily_files_job",
        "evening_job",
        "execution_metrics_job",
        "panels_job",
        "retention_job",
    ]
    assert [(sensor.name, sensor.default_status.value) for sensor in repository.sensor_defs] == [
        ("inbox_sensor", "RUNNING")
    ]
    assert [
        (schedule.name, schedule.cron_schedule, schedule.execution_timezone, schedule.default_status.value)
        for schedule in repository.schedule_defs
    ] == [
        ("evening_schedule", "0 20 * * *", "Asia/Kolkata", "RUNNING"),
        ("execution_metrics_schedule", "0 * * * *", "Asia/Kolkata", "RUNNING"),
        ("retention_schedule", "30 3 * * *", "Asia/Kolkata", "RUNNING"),
    ]
    assert set(repository.get_top_level_resources()) == {"workspace", "answers"}


def test_partitions_of_a_variant_are_the_symbols(location: dg.Definitions) -> None:
    for name in VARIANTS:
        partitions = location.resolve_job_def(f"{name}_job").partitions_def
        assert partitions is not None
        assert list(partitions.get_partition_keys()) == ["NIFTY", "BANKNIFTY", "FINNIFTY"]


def test_one_more_entry_of_the_catalogue_is_one_more_asset_and_job(monkeypatch: pytest.MonkeyPatch) -> None:
    t3 = replace(catalogue.VARIANTS[-1], name="call_sell_future_buy_t3", sessions_before_expiry=3)
    monkeypatch.setattr(catalogue, "VARIANTS", (*catalogue.VARIANTS, t3))
    repository = defs().get_repository_def()
    assert dg.AssetKey("call_sell_future_buy_t3") in repository.asset_graph.get_all_asset_keys()
    assert "call_sell_future_buy_t3_job" in repository.job_names
    evening = repository.get_job("evening_job")
    assert "call_sell_future_buy_t3" in evening.graph.node_dict


def test_the_config_schema_tells_ranges_choices_and_defaults() -> None:
    for variant in catalogue.variants():
        fields: Any = config_class(variant).to_config_schema().as_field().config_type.fields  # type: ignore[attr-defined]
        for parameter in variant.parameters:
            assert parameter.limit in fields[parameter.name].description
            assert fields[parameter.name].default_value == parameter.default
        assert "3 (on a rise or a fall)" in fields["spot_adjustment_type"].description
        assert "-50 to 50 percent" in fields["call_sell_position"].description
        assert {value.config_value for value in fields["exit_at_expiry"].config_type.enum_values} == {
            "close",
            "intrinsic",
        }
        assert fields["use_cache"].default_value is True
        assert all(field.description for field in fields.values())


def test_importing_the_definitions_reads_no_setting_and_touches_no_server() -> None:
    code = (
        "import os, socket, json\n"
        "os.environ.update(BACKTEST_HOME='/nonexistent/home', REDIS_URL='no url', REDIS_PORT='no port')\n"
        "socket.socket.connect = None\n"
        "from backtest_pipelines.definitions import defs\n"
        "print(json.dumps(sorted(defs().get_repository_def().job_names)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "evening_job" in json.loads(done.stdout)
