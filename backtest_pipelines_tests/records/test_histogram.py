"""Durations in columns: nothing is lost on the way, and each is where its label says."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest_pipelines.records.buckets import bucket
from backtest_pipelines.records.histogram import COLUMNS_PER_DECADE, histogram
from backtest_pipelines.records.totals import Total


def total(duration_ms: float, executions: int = 1, tier: str = "none", outcome: str = "completed") -> Total:
    start = datetime(2024, 6, 14, tzinfo=UTC)
    times = (duration_ms * executions, duration_ms, duration_ms)
    return Total("v", "cli", outcome, tier, bucket(duration_ms), executions, *times, start)


@pytest.mark.parametrize(
    ("duration_ms", "column"), [(1.0001, 0), (1.8, 0), (1.81, 1), (3.15, 1), (3.16, 2), (5.6, 2), (5.61, 3), (10, 3)]
)
def test_a_duration_is_between_the_limits_of_its_column(duration_ms: float, column: int) -> None:
    found = histogram([total(duration_ms)])
    assert found is not None
    assert (found.computed.index(1), found.decades_ms) == (column, (1.0, 10.0))


def test_found_and_computed_are_told_apart_and_failures_left_out() -> None:
    totals = [total(0.5, 7, "redis"), total(0.5, 2, "file"), total(20, 3), total(90_000, 5, outcome="failed")]
    found = histogram(totals)
    assert found is not None
    assert found.decades_ms == (0.1, 1.0, 10.0, 100.0)
    assert (sum(found.found), found.found[2], sum(found.computed), found.computed[9]) == (9, 9, 3, 3)
    assert histogram([replace(total(1), outcome="failed")]) is None


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_every_completed_execution_is_in_a_column(durations_ms: list[float]) -> None:
    found = histogram([total(duration_ms) for duration_ms in durations_ms])
    assert found is not None
    assert sum(found.computed) == len(durations_ms)
    assert len(found.computed) == len(found.found) == COLUMNS_PER_DECADE * (len(found.decades_ms) - 1)
