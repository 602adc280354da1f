"""Answers between assets: by fingerprint, so that nobody's experiment is somebody else's input."""

import shutil
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from backtest_pipelines.defs.io_manager import answer_io_manager
from backtest_pipelines.defs.panels import symbol_partitions
from backtest_pipelines.defs.variants import variant_asset
from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.results.answer import Answer
from backtest_pipelines.strategies import catalogue
from backtest_pipelines_tests.defs.runs import WEEKLY, failures_of, metadata_of, run_variant


@dg.asset(
    partitions_def=symbol_partitions,
    ins={"answer": dg.AssetIn(WEEKLY)},
    retry_policy=dg.RetryPolicy(max_retries=3),
)
def downstream(answer: Answer) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(metadata={"seen": str(answer.provenance["fingerprint"])})


@dg.asset(ins={"answers": dg.AssetIn(WEEKLY)})
def of_all_symbols(answers: dict[str, Answer]) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(
        metadata={symbol: str(answer.provenance["fingerprint"]) for symbol, answer in answers.items()}
    )


def materialize(
    instance: dg.DagsterInstance,
    assets: list[dg.AssetsDefinition],
    config: dict[str, Any] | None = None,
    partition: str | None = "NIFTY",
    selection: list[dg.AssetsDefinition] | None = None,
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        assets,
        instance=instance,
        partition_key=partition,
        resources={"workspace": WorkspaceResource(), "answers": answer_io_manager},
        run_config={"ops": {WEEKLY: {"config": config}}} if config else None,
        selection=selection,
        raise_on_error=False,
    )


@pytest.fixture
def weekly() -> dg.AssetsDefinition:
    return variant_asset(catalogue.variant(WEEKLY))


def seen(result: dg.ExecuteInProcessResult) -> str:
    return str(metadata_of(result, "downstream")["seen"])


@pytest.mark.usefixtures("market_home")
def test_a_downstream_step_gets_the_answer_of_its_own_run(
    instance: dg.DagsterInstance, weekly: dg.AssetsDefinition
) -> None:
    for position in (0.0, 1.0, 0.0):
        result = materialize(instance, [weekly, downstream], {"call_sell_position": position})
        assert seen(result) == metadata_of(result)["fingerprint"]


@pytest.mark.usefixtures("market_home")
def test_alone_a_downstream_step_gets_the_partitions_latest(
    instance: dg.DagsterInstance, weekly: dg.AssetsDefinition
) -> None:
    materialize(instance, [weekly], {"call_sell_position": 0.0})
    latest = metadata_of(materialize(instance, [weekly], {"call_sell_position": 1.0}))["fingerprint"]
    assert seen(materialize(instance, [weekly, downstream], selection=[downstream])) == latest


@pytest.mark.usefixtures("market_home")
def test_a_downstream_of_all_symbols_gets_one_answer_each(
    instance: dg.DagsterInstance, weekly: dg.AssetsDefinition
) -> None:
    expected = {}
    for symbol in ("NIFTY", "BANKNIFTY", "FINNIFTY"):
        expected[symbol] = metadata_of(materialize(instance, [weekly], {"costs": False}, symbol))["fingerprint"]
    result = materialize(instance, [weekly, of_all_symbols], partition=None, selection=[of_all_symbols])
    assert metadata_of(result, "of_all_symbols") == expected


@pytest.mark.usefixtures("market_home")
def test_parameter_sets_on_one_partition_keep_all_their_answers(
    location: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    configs = [{"call_sell_position": position / 2} for position in range(3)]
    shown = [metadata_of(run_variant(location, instance, config)) for config in configs]
    assert len({each["fingerprint"] for each in shown}) == len(configs)
    for config, first in zip(configs, shown, strict=True):
        again = metadata_of(run_variant(location, instance, config))
        assert again["cached"]
        assert (again["fingerprint"], again["net_pnl_points"]) == (first["fingerprint"], first["net_pnl_points"])


@pytest.mark.usefixtures("market_home")
def test_an_input_that_was_never_materialized_is_a_named_permanent_failure(
    instance: dg.DagsterInstance, weekly: dg.AssetsDefinition
) -> None:
    (failure,) = failures_of(materialize(instance, [weekly, downstream], selection=[downstream]))
    assert "AnswerAbsentError" in str(failure)
    assert "NIFTY was never materialized" in str(failure)


def test_an_answer_that_is_gone_is_a_named_permanent_failure(
    instance: dg.DagsterInstance, market_home: Path, weekly: dg.AssetsDefinition, monkeypatch: pytest.MonkeyPatch
) -> None:
    fingerprint = metadata_of(materialize(instance, [weekly]))["fingerprint"]
    shutil.rmtree(market_home / "answers")
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("REDIS_PORT", "1")
    (failure,) = failures_of(materialize(instance, [weekly, downstream], selection=[downstream]))
    assert "AnswerAbsentError" in str(failure)
    assert fingerprint in str(failure)


@pytest.mark.usefixtures("market_home")
def test_an_output_that_is_not_kept_fails_the_run(instance: dg.DagsterInstance) -> None:
    @dg.asset(partitions_def=symbol_partitions, io_manager_key="answers", name=WEEKLY)
    def returns_something_else() -> int:
        return 1

    (failure,) = failures_of(materialize(instance, [returns_something_else]))
    assert "BugError" in str(failure)
    assert "returned int, not Executed" in str(failure)
