from __future__ import annotations

import json
from collections import defaultdict
from datetime import date

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from backtest_pipelines.analytics.pivot import pivot
from backtest_pipelines_tests.analytics.backtests import EPOCH_ORDINAL, days


def test_a_worked_pivot_with_a_year_without_trades() -> None:
    exits = ["2019-02-28", "2019-02-01", "2019-12-31", "2021-01-01"]
    table = pivot(np.array([days(day) for day in exits], np.int32), np.array([10, 20, -35, 5], np.int64))
    blank = [None] * 12
    assert table == {
        "unit": "points",
        "years": [2019, 2020, 2021],
        "months": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
        "net_pnl_points": [[None, 0.3, *blank[:9], -0.35], blank, [0.05, *blank[:11]]],
        "trades": [[0, 2, *[0] * 9, 1], [0] * 12, [1, *[0] * 11]],
        "year_totals": [-0.05, None, 0.05],
        "month_totals": [0.05, 0.3, *blank[:9], -0.35],
        "total": 0.0,
    }


def test_a_month_that_sums_to_nothing_is_zero_and_not_null() -> None:
    table = pivot(np.array([0, 1], np.int32), np.array([5, -5], np.int64))
    assert table["net_pnl_points"][0][0] == table["year_totals"][0] == table["month_totals"][0] == 0.0


def test_no_trades_give_a_pivot_without_rows() -> None:
    table = pivot(np.empty(0, np.int32), np.empty(0, np.int64))
    assert table["years"] == table["net_pnl_points"] == table["trades"] == table["year_totals"] == []
    assert table["month_totals"] == [None] * 12
    assert table["total"] == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-4000, 30000), st.integers(-(10**9), 10**9)), max_size=40))
def test_cells_rows_columns_and_total_are_the_sums_of_the_trades(trades: list[tuple[int, int]]) -> None:
    table = pivot(np.array([day for day, _ in trades], np.int32), np.array([paise for _, paise in trades], np.int64))
    json.dumps(table, allow_nan=False)
    cell: dict[tuple[int, int], int] = defaultdict(int)
    for day, paise in trades:
        exit_date = date.fromordinal(EPOCH_ORDINAL + day)
        cell[exit_date.year, exit_date.month] += paise
    found = {
        (year, month): points
        for year, row in zip(table["years"], table["net_pnl_points"], strict=True)
        for month, points in zip(table["months"], row, strict=True)
        if points is not None
    }
    assert found == {key: paise / 100 for key, paise in cell.items()}
    assert table["total"] == sum(paise for _, paise in trades) / 100
    for year, total in zip(table["years"], table["year_totals"], strict=True):
        paise_of_year = [paise for (of, _), paise in cell.items() if of == year]
        assert total == (sum(paise_of_year) / 100 if paise_of_year else None)
    for month, total in zip(table["months"], table["month_totals"], strict=True):
        paise_of_month = [paise for (_, of), paise in cell.items() if of == month]
        assert total == (sum(paise_of_month) / 100 if paise_of_month else None)
    assert sum(map(sum, table["trades"])) == len(trades)
