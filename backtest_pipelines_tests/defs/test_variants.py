"""Runs of the variants: answers and metadata, hits and misses, and failures tried as often as they deserve."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from backtest_pipelines.defs import variants
from backtest_pipelines.errors import MissingDataError, UnavailableError
from backtest_pipelines.executions.execute import execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines_tests.defs.runs import WEEKLY, failures_of, metadata_of, run_variant


def test_a_run_shows_the_answer_that_execute_gives(
    location: dg.Definitions, instance: dg.DagsterInstance, market_home: Path
) -> None:
    config = {"spot_adjustment_type": 3, "spot_adjustment": 0.5, "call_sell_position": 1, "costs": True}
    shown = metadata_of(run_variant(location, instance, config))
    parameters = {name: value for name, value in config.items() if name != "costs"}
    with Workspace(settings_from({}, home=market_home)) as workspace:
        executed = execute(ExecutionRequest(WEEKLY, parameters=parameters, costs=True), workspace)
    answer = executed.answer
    assert shown["fingerprint"] == executed.fingerprint
    assert shown["trades"] == answer.trades.num_rows > 5
    for name in ("net_pnl_points", "win_rate_frac", "cagr_frac", "max_drawdown_frac", "sharpe_ratio"):
        assert shown[name] == answer.statistics[name]
    assert shown["question"] == executed.question.canonical()
    rows = answer.trades.to_pylist()
    for table, expected in (("first_trades", rows[:5]), ("last_trades", rows[-5:])):
        records = [dict(record.data) for record in shown[table].records]
        assert records == json.loads(json.dumps(expected, default=str))
    assert [column.name for column in shown["notices"].schema.columns] == answer.notices.column_names
    assert shown["notices_count"] == answer.notices.num_rows
    assert shown["equity"].startswith("![equity](data:image/svg+xml;base64,")
    assert len(shown["equity"]) < 1000


@pytest.mark.usefixtures("market_home")
def test_numbers_are_plain_so_that_the_ui_plots_them(location: dg.Definitions, instance: dg.DagsterInstance) -> None:
    (materialization,) = run_variant(location, instance).asset_materializations_for_node(WEEKLY)
    for name in ("net_pnl_points", "win_rate_frac", "sharpe_ratio", "duration_ms"):
        assert isinstance(materialization.metadata[name], dg.FloatMetadataValue)
    assert isinstance(materialization.metadata["trades"], dg.IntMetadataValue)


@pytest.mark.usefixtures("market_home")
def test_the_second_run_of_a_question_is_a_hit_and_computes_nothing(
    location: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = metadata_of(run_variant(location, instance))
    assert (first["cached"], first["tier"]) == (False, "computed")

    def refuse(*_: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("backtest_pipelines.executions.answering.compute", refuse)
    second = metadata_of(run_variant(location, instance))
    assert (second["cached"], second["tier"]) == (True, "redis")
    assert second["fingerprint"] == first["fingerprint"]
    assert second["net_pnl_points"] == first["net_pnl_points"]


@pytest.mark.usefixtures("market_home")
def test_without_redis_the_second_run_is_a_hit_in_the_files(
    location: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("REDIS_PORT", "1")
    assert metadata_of(run_variant(location, instance))["tier"] == "computed"
    assert metadata_of(run_variant(location, instance))["tier"] == "file"


def test_use_cache_false_computes_afresh_and_still_writes(
    location: dg.Definitions, instance: dg.DagsterInstance, market_home: Path
) -> None:
    first = metadata_of(run_variant(location, instance))
    kept = market_home / "answers"
    (file,) = (path for path in kept.rglob("*") if path.is_file() and first["fingerprint"] in path.name)
    file.unlink()
    again = metadata_of(run_variant(location, instance, {"use_cache": False}))
    assert (again["cached"], again["fingerprint"]) == (False, first["fingerprint"])
    assert file.is_file()


@pytest.mark.usefixtures("market_home")
def test_the_data_version_is_the_fingerprint(location: dg.Definitions, instance: dg.DagsterInstance) -> None:
    (materialization,) = run_variant(location, instance).asset_materializations_for_node(WEEKLY)
    assert materialization.tags is not None
    assert materialization.tags["dagster/data_version"] == materialization.metadata["fingerprint"].value


def test_a_run_is_one_execution_on_record(
    location: dg.Definitions, instance: dg.DagsterInstance, market_home: Path
) -> None:
    result = run_variant(location, instance, symbol="BANKNIFTY")
    shown = metadata_of(result)
    with sqlite3.connect(market_home / "executions.sqlite") as connection:
        rows = connection.execute("SELECT id, door, symbol, run_id, attempt, fingerprint FROM executions").fetchall()
    connection.close()
    assert rows == [
        (shown["execution_id"], "dagster", "BANKNIFTY", result.run_id, 1, shown["fingerprint"]),
    ]


@pytest.mark.usefixtures("market_home")
@pytest.mark.parametrize(
    ("config", "field", "value", "limit"),
    [
        ({"spot_adjustment_type": 7}, "spot_adjustment_type", "7", "allowed: 0 (none), 1 (on a rise)"),
        ({"call_sell_position": 50.5}, "call_sell_position", "50.5", "allowed: -50 to 50 percent"),
        ({"from_date": "30-11-2021"}, "from_date", "'30-11-2021'", "an ISO date"),
        ({"from_date": "2024-06-01", "to_date": "2024-05-01"}, "from_date", "'2024-06-01'", "not after to_date"),
        (
            {"phases": [{"start": "2024-05-02", "end": "2024-05-09"}, {"start": "2024-05-09", "end": "2024-05-20"}]},
            "phases",
            "'2024-05-09 to 2024-05-20'",
            "do not overlap",
        ),
        ({"brokerage_inr_per_order": 20}, "brokerage_inr_per_order", "20.0", "only where costs"),
    ],
)
@pytest.mark.usefixtures("market_home")
def test_a_bad_config_fails_once_naming_field_value_and_limit(
    location: dg.Definitions,
    instance: dg.DagsterInstance,
    config: dict[str, Any],
    field: str,
    value: str,
    limit: str,
) -> None:
    (failure,) = failures_of(run_variant(location, instance, config))
    shown = {name: entry.value for name, entry in failure.user_failure_data.metadata.items()}
    assert (shown["field"], shown["value"]) == (field, value)
    assert limit in shown["limit"]
    for part in (field, value, limit):
        assert part in failure.user_failure_data.description
    assert "Change the config" in failure.user_failure_data.description


@pytest.mark.usefixtures("home")
def test_a_symbol_that_was_never_ingested_fails_once(location: dg.Definitions, instance: dg.DagsterInstance) -> None:
    (failure,) = failures_of(run_variant(location, instance))
    assert failure.user_failure_data.metadata["error_type"].value == MissingDataError.__name__


@pytest.mark.usefixtures("market_home")
def test_what_a_retry_can_help_is_tried_again_under_the_next_attempt(
    location: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def fails_twice(request: ExecutionRequest, workspace: Workspace) -> object:
        attempts.append(request.attempt)
        if len(attempts) < 3:
            raise UnavailableError("the disk is away")
        return execute(request, workspace)

    monkeypatch.setattr(variants, "execute", fails_twice)
    result = run_variant(location, instance)
    assert result.success
    assert attempts == [1, 2, 3]
    pauses = [data.seconds_to_wait for data in failures_of(result)]
    assert 0 < pauses[0] < pauses[1] < 3


@pytest.mark.usefixtures("market_home")
def test_a_bug_is_tried_once_and_says_so(
    location: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def breaks(request: ExecutionRequest, workspace: Workspace) -> object:  # noqa: ARG001 - the signature of execute
        attempts.append(request.attempt)
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(variants, "execute", breaks)
    (failure,) = failures_of(run_variant(location, instance))
    assert attempts == [1]
    assert "ZeroDivisionError: division by zero" in failure.user_failure_data.description
    assert "bug" in failure.user_failure_data.description


@pytest.mark.usefixtures("market_home")
def test_a_bad_variable_is_named_when_the_run_starts(
    location: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PORT", "99999")
    result = run_variant(location, instance)
    assert not result.success
    assert any("REDIS_PORT: got '99999'" in str(event.event_specific_data) for event in result.all_events)


@pytest.mark.usefixtures("market_home")
def test_statistics_that_are_not_defined_are_null(location: dg.Definitions, instance: dg.DagsterInstance) -> None:
    shown = metadata_of(run_variant(location, instance, {"to_date": "2024-05-03"}))
    assert shown["trades"] == 0
    assert shown["sharpe_ratio"] is None
    assert shown["first_trades"].records == []
