"""The evening schedule: one run for each symbol with a panel, and hits cost nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.errors import BadDataError, UnavailableError
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines_tests.defs.runs import metadata_of

EVENING = datetime(2024, 6, 14, 14, 30, tzinfo=UTC)  # 20:00 in Kolkata


def requests(location: dg.Definitions, instance: dg.DagsterInstance) -> list[dg.RunRequest | dg.SkipReason]:
    schedule = location.get_repository_def().get_schedule_def("evening_schedule")
    resources = {"workspace": WorkspaceResource()}
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=EVENING, resources=resources) as context:
        found = schedule(context)
        assert isinstance(found, Iterator)
        return list(found)


@pytest.mark.usefixtures("market_home")
def test_each_symbol_with_a_panel_is_run(location: dg.Definitions, instance: dg.DagsterInstance) -> None:
    found = requests(location, instance)
    assert [request.partition_key for request in found if isinstance(request, dg.RunRequest)] == [
        "NIFTY",
        "BANKNIFTY",
        "FINNIFTY",
    ]


@pytest.mark.usefixtures("home")
def test_without_panels_it_says_why_nothing_runs(location: dg.Definitions, instance: dg.DagsterInstance) -> None:
    (skip,) = requests(location, instance)
    assert isinstance(skip, dg.SkipReason)
    assert "no panel yet" in str(skip.skip_message)


@pytest.mark.usefixtures("market_home")
def test_the_evening_job_answers_every_variant_and_a_second_evening_computes_nothing(
    location: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    job = location.resolve_job_def("evening_job")
    names = ("call_sell_future_buy_weekly", "call_sell_future_buy_t1", "call_sell_future_buy_t2")
    first = job.execute_in_process(instance=instance, partition_key="FINNIFTY")
    assert [metadata_of(first, name)["cached"] for name in names] == [False] * 3
    second = job.execute_in_process(instance=instance, partition_key="FINNIFTY")
    assert [metadata_of(second, name)["cached"] for name in names] == [True] * 3


def test_the_home_is_never_made_by_looking(location: dg.Definitions, instance: dg.DagsterInstance, home: Path) -> None:
    requests(location, instance)
    assert not home.exists()


@pytest.mark.usefixtures("market_home")
@pytest.mark.parametrize(("error", "is_tried_again"), [("damaged", False), ("unreadable", True)])
def test_a_damaged_panel_skips_the_tick_and_an_unreadable_one_fails_it(
    location: dg.Definitions,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    error: str,
    is_tried_again: bool,
) -> None:
    errors = {"damaged": BadDataError("panel", "damaged"), "unreadable": UnavailableError("the disk does not answer")}

    def fail(_store: PanelStore, _symbol: str) -> None:
        raise errors[error]

    monkeypatch.setattr(PanelStore, "symbol", fail)
    if is_tried_again:
        with pytest.raises(UnavailableError):
            requests(location, instance)
        return
    (skip,) = requests(location, instance)
    assert isinstance(skip, dg.SkipReason)
    assert str(skip.skip_message) == "BadDataError: panel: damaged"
