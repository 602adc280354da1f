from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from backtest_pipelines.analytics.equity import equity_curve, iso_date
from backtest_pipelines.errors import BugError
from backtest_pipelines_tests.analytics.backtests import Backtest, backtest, backtests


def test_trades_that_touch_and_a_gap_make_one_series() -> None:
    curve = backtest((1, [0, 500, 1000]), (3, [0, -1100, -2200]), (6, [0, 1100, 3300])).curve()
    assert [iso_date(day) for day in curve.session] == [f"2024-01-0{day}" for day in range(2, 10)]
    assert curve.equity_points.tolist() == [100, 105, 110, 99, 88, 88, 99, 121]
    assert curve.booked_points.tolist() == [100, 100, 110, 110, 88, 88, 88, 121]
    assert curve.is_held.tolist() == [False, True, True, True, True, False, True, True]
    assert [array.dtype for array in (curve.session, curve.equity_points, curve.booked_points, curve.is_held)] == [
        np.int32,
        np.float64,
        np.float64,
        np.bool_,
    ]


def test_no_trades_give_an_empty_curve() -> None:
    curve = backtest().curve()
    assert curve.session.size == curve.equity_points.size == curve.booked_points.size == curve.is_held.size == 0


@settings(deadline=None)
@given(backtests())
def test_the_curve_agrees_with_a_loop_over_the_trades(case: Backtest) -> None:
    curve = case.curve()
    equity, booked, held = [], [], []
    first = case.trades[0][0] if case.trades else 0
    for index in range(first, first + curve.session.size):
        done = [marks for entry, marks in case.trades if entry + len(marks) - 1 <= index]
        is_open = [marks[index - entry] for entry, marks in case.trades if entry <= index < entry + len(marks) - 1]
        booked.append((case.first_spot_paise + sum(marks[-1] for marks in done)) / 100)
        equity.append((case.first_spot_paise + sum(marks[-1] for marks in done) + sum(is_open)) / 100)
        held.append(any(entry < index <= entry + len(marks) - 1 for entry, marks in case.trades))
    assert curve.equity_points.tolist() == equity
    assert curve.booked_points.tolist() == booked
    assert curve.is_held.tolist() == held


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"exit_index": [3]}, "2 entries, 1 exits and 3 offsets"),
        ({"mark_offset": [0, 6]}, "2 entries, 2 exits and 2 offsets"),
        ({"entry_index": [-1, 3]}, "trades span sessions -1 to 5 of 8"),
        ({"exit_index": [3, 8]}, "trades span sessions 1 to 8 of 8"),
        ({"exit_index": [4, 5]}, "no earlier than the next one begins"),
        ({"exit_index": [1, 5]}, "must end after it began"),
        ({"mark_offset": [0, 2, 6]}, "one mark a session"),
        ({"mark_offset": [1, 4, 7]}, "one mark a session"),
        ({"mark_offset": [0, 3, 7]}, "one mark a session"),
        ({"mark_pnl_paise": [0, 1, 2, 3, 4, 5]}, "must be 0 paise"),
        ({"first_spot_paise": 0}, "first_spot_paise is 0"),
    ],
)
def test_arrays_that_contradict_one_another_are_refused(change: dict[str, list[int] | int], message: str) -> None:
    arguments: dict[str, list[int] | int] = {
        "session": list(range(8)),
        "entry_index": [1, 3],
        "exit_index": [3, 5],
        "mark_offset": [0, 3, 6],
        "mark_pnl_paise": [0, 1, 2, 0, 4, 5],
        "first_spot_paise": 100_00,
    }
    arrays = {
        name: value if isinstance(value, int) else np.array(value, np.int64)
        for name, value in (arguments | change).items()
    }
    with pytest.raises(BugError, match=message):
        equity_curve(**arrays)  # type: ignore[arg-type]
