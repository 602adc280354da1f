from __future__ import annotations

import json
import math
import statistics as stdlib
from typing import Any

import empyrical  # type: ignore[import-untyped]
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from backtest_pipelines.analytics.statistics import STATISTICS, statistics
from backtest_pipelines.errors import BadRequestError, BugError
from backtest_pipelines_tests.analytics.backtests import Backtest, Trade, backtest, backtests, days


def worked() -> Backtest:
    """Three trades over 1,461 days, four years to the day; equity 100, 105, 110, 99, 88, 88, 99, 121."""
    dates = "2020-01-01 2020-06-01 2021-01-01 2021-06-01 2022-01-03 2022-06-01 2023-06-01 2024-01-01 2024-01-02"
    return Backtest(
        session=np.array([days(day) for day in dates.split()], np.int32),
        trades=[(0, [0, 500, 1000]), (2, [0, -1100, -2200]), (5, [0, 1100, 3300])],
        first_spot_paise=100_00,
    )


def test_the_worked_backtest_has_its_golden_statistics() -> None:
    returns = [105 / 100 - 1, 110 / 105 - 1, 99 / 110 - 1, 88 / 99 - 1, 0.0, 99 / 88 - 1, 121 / 99 - 1]
    downside = math.sqrt(((99 / 110 - 1) ** 2 + (88 / 99 - 1) ** 2) / 7)
    golden = {
        "trades": 3,
        "wins": 2,
        "losses": 1,
        "scratches": 0,
        "win_rate_frac": 2 / 3,
        "net_pnl_points": 21.0,
        "avg_pnl_points": 7.0,
        "average_win_points": 21.5,
        "average_loss_points": -22.0,
        "best_trade_points": 33.0,
        "worst_trade_points": -22.0,
        "longest_winning_streak_trades": 1,
        "longest_losing_streak_trades": 1,
        "expectancy_ratio": 7 / 22,
        "cagr_frac": math.sqrt(1.1) - 1,
        "calendar_days": 1461,
        "max_drawdown_frac": -0.2,
        "max_drawdown_booked_frac": -0.2,
        "max_drawdown_points": -22.0,
        "max_drawdown_start_date": "2021-01-01",
        "max_drawdown_trough_date": "2022-01-03",
        "max_drawdown_recovery_date": "2024-01-01",
        "sharpe_ratio": stdlib.mean(returns) / stdlib.stdev(returns) * math.sqrt(252),
        "sortino_ratio": stdlib.mean(returns) / downside * math.sqrt(252),
        "calmar_ratio": (math.sqrt(1.1) - 1) / 0.2,
        "recovery_factor": 21 / 22,
        "trades_per_year": 0.75,
        "time_in_market_frac": 6 / 7,
        "first_entry_date": "2020-01-01",
        "last_exit_date": "2024-01-01",
        "first_entry_spot_points": 100.0,
        "sessions": 8,
        "net_pnl_inr_per_lot": 1575.0,
        "avg_pnl_inr_per_lot": 525.0,
        "max_drawdown_inr_per_lot": -1650.0,
    }
    found = worked().statistics(lot_size=75)
    assert found == pytest.approx(golden)
    assert list(found) == list(golden) == list(STATISTICS)
    assert {name: type(value) for name, value in found.items()} == {name: type(value) for name, value in golden.items()}


def test_without_trades_counts_are_zero_and_all_else_is_null() -> None:
    found = backtest().statistics(lot_size=75)
    assert {name: value for name, value in found.items() if value is not None} == {
        "trades": 0,
        "wins": 0,
        "losses": 0,
        "scratches": 0,
        "net_pnl_points": 0.0,
        "longest_winning_streak_trades": 0,
        "longest_losing_streak_trades": 0,
        "calendar_days": 0,
        "sessions": 0,
        "net_pnl_inr_per_lot": 0.0,
    }


@pytest.mark.parametrize(
    ("trades", "expected"),
    [
        pytest.param(
            [(0, [0, 0, 0]), (2, [0, 0])],
            {
                "scratches": 2,
                "win_rate_frac": 0.0,
                "average_win_points": None,
                "average_loss_points": None,
                "expectancy_ratio": None,
                "cagr_frac": 0.0,
                "max_drawdown_frac": 0.0,
                "max_drawdown_points": 0.0,
                "max_drawdown_start_date": None,
                "max_drawdown_trough_date": None,
                "max_drawdown_recovery_date": None,
                "sharpe_ratio": None,
                "sortino_ratio": None,
                "calmar_ratio": None,
                "recovery_factor": None,
            },
            id="flat equity",
        ),
        pytest.param(
            [(0, [0, 100, 300])],
            {
                "expectancy_ratio": None,
                "sortino_ratio": None,
                "recovery_factor": None,
                "worst_trade_points": 3.0,
            },
            id="never a loss",
        ),
        pytest.param(
            [(0, [0, -100]), (1, [0, -100])],
            {
                "expectancy_ratio": -1.0,
                "best_trade_points": -1.0,
                "recovery_factor": -1.0,
                "max_drawdown_recovery_date": None,
                "max_drawdown_start_date": "2024-01-01",
                "max_drawdown_trough_date": "2024-01-03",
            },
            id="only losses",
        ),
        pytest.param([(0, [0, -100])], {"sharpe_ratio": None, "sortino_ratio": None}, id="one daily return"),
        pytest.param(
            [(0, [0, 10_00, 21_00, 33_10])],
            {"sharpe_ratio": None, "sortino_ratio": None},
            id="returns equal but for rounding",
        ),
        pytest.param(
            [(0, [0, -20_00, 10_00])],
            {"max_drawdown_frac": -0.2, "max_drawdown_booked_frac": 0.0},
            id="a loss within a trade is not booked",
        ),
        pytest.param(
            [(0, [0, 10_00, 0, 10_00, -10_00])],
            {"max_drawdown_start_date": "2024-01-04", "max_drawdown_trough_date": "2024-01-05"},
            id="a drawdown starts at the last of equal peaks",
        ),
        pytest.param(
            [(0, [0, -10_00, 0, 5_00])],
            {"max_drawdown_recovery_date": "2024-01-03"},
            id="equity at its peak again has recovered",
        ),
        pytest.param(
            [(0, [0, -50_00, 900_00, 840_00])],
            {
                "max_drawdown_frac": -0.5,
                "max_drawdown_points": -60.0,
                "max_drawdown_recovery_date": "2024-01-03",
            },
            id="the deepest in points is another than the deepest fraction",
        ),
        pytest.param(
            [(0, [0, -150_00, 50_00])],
            {
                "max_drawdown_frac": -1.5,
                "cagr_frac": None,
                "sharpe_ratio": None,
                "sortino_ratio": None,
                "calmar_ratio": None,
                "recovery_factor": pytest.approx(1 / 3),
            },
            id="wiped out midway",
        ),
        pytest.param(
            [(0, [0, -40_00, -100_00])],
            {
                "max_drawdown_frac": -1.0,
                "cagr_frac": None,
                "calmar_ratio": None,
                "max_drawdown_recovery_date": None,
            },
            id="wiped out at the end",
        ),
        pytest.param(
            [(0, [0, 10**6])],
            {"cagr_frac": None, "net_pnl_points": 10_000.0},
            id="a growth rate beyond any number",
        ),
        pytest.param(
            [(index, [0, pnl]) for index, pnl in enumerate([5, 5, 0, 5, -5, -5, -5])],
            {"longest_winning_streak_trades": 2, "longest_losing_streak_trades": 3, "scratches": 1},
            id="a scratch ends a streak",
        ),
    ],
)
def test_edge_cases(trades: list[Trade], expected: dict[str, Any]) -> None:
    found = backtest(*trades).statistics()
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("lot_size", [None, [75, 0, 25]])
def test_statistics_per_lot_are_null_where_a_lot_is_unknown(lot_size: list[int] | None) -> None:
    found = worked().statistics(lot_size=lot_size)
    assert [found[name] for name in found if name.endswith("_inr_per_lot")] == [None, None, None]


def test_each_trade_counts_with_its_own_lot() -> None:
    found = worked().statistics(lot_size=[10, 20, 100])
    # Gains of 10 x 10, -22 x 20 and 33 x 100; from the first trade's end the second loses 440.
    assert found["net_pnl_inr_per_lot"] == 100 - 440 + 3300
    assert found["avg_pnl_inr_per_lot"] == (100 - 440 + 3300) / 3
    assert found["max_drawdown_inr_per_lot"] == -440


@pytest.mark.parametrize("risk_free_frac", [6.5, -1.1, math.nan, math.inf])
def test_a_risk_free_rate_in_percent_is_refused(risk_free_frac: float) -> None:
    with pytest.raises(BadRequestError, match="risk_free_frac"):
        worked().statistics(risk_free_frac=risk_free_frac)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"net_pnl_paise": np.array([1, 2])}, "3 entries, 3 exits, 2 results"),
        ({"entry_date": np.array([1, 2, 3])}, "the trades span days"),
        ({"curve": backtest().curve()}, "the trades span days"),
    ],
)
def test_a_curve_of_other_trades_is_refused(change: dict[str, Any], message: str) -> None:
    case = worked()
    arguments: dict[str, Any] = {
        "entry_date": case.session[case.entry_index],
        "exit_date": case.session[case.exit_index],
        "net_pnl_paise": case.net_pnl_paise,
        "curve": case.curve(),
    }
    with pytest.raises(BugError, match=message):
        statistics(**(arguments | change))


def test_every_statistic_says_its_unit_and_carries_it_in_its_name() -> None:
    suffix = {
        "points": "_points",
        "fraction": "_frac",
        "ISO date": "_date",
        "INR per lot": "_inr_per_lot",
        "trades": "_trades",
        "days": "_days",
        "per year": "_per_year",
    }
    for name, statistic in STATISTICS.items():
        assert statistic.unit in {"count", "sessions", "ratio", *suffix}
        assert name.endswith(suffix.get(statistic.unit, ""))
        assert statistic.description


@settings(deadline=None)
@given(backtests(largest_mark_paise=5_000, least_spot_paise=1_000_000), st.sampled_from([0.0, 0.065, -0.01]))
def test_ratios_agree_with_empyrical(case: Backtest, risk_free_frac: float) -> None:
    found = case.statistics(risk_free_frac=risk_free_frac)
    equity = case.curve().equity_points
    assume(equity.size > 2 and np.ptp(equity) > 0)
    returns = equity[1:] / equity[:-1] - 1
    daily = risk_free_frac / 252
    assume(np.std(returns) > 1e-9)  # or rounding decides, which differs between two ways of computing
    sessions_per_year = returns.size * 365.25 / found["calendar_days"]  # type: ignore[operator]
    with np.errstate(all="ignore"):
        reference = {
            "sharpe_ratio": empyrical.sharpe_ratio(returns, risk_free=daily, annualization=252),
            "sortino_ratio": empyrical.sortino_ratio(returns, required_return=daily, annualization=252),
            "max_drawdown_frac": empyrical.max_drawdown(returns),
            "cagr_frac": empyrical.annual_return(returns, annualization=sessions_per_year),
            "calmar_ratio": empyrical.calmar_ratio(returns, annualization=sessions_per_year),
        }
    for name, value in reference.items():
        if found[name] is None:
            assert not math.isfinite(value), name
        else:
            assert found[name] == pytest.approx(value, rel=1e-6, abs=1e-6), name


@settings(deadline=None)
@given(backtests(), st.one_of(st.none(), st.integers(1, 5000)), st.floats(-1, 1))
def test_statistics_are_finite_plain_and_in_range(case: Backtest, lot_size: int | None, risk_free_frac: float) -> None:
    found = case.statistics(lot_size=lot_size, risk_free_frac=risk_free_frac)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found) == list(STATISTICS)
    assert {type(value) for value in found.values()} <= {int, float, str, type(None)}
    values: dict[str, Any] = found
    assert values["wins"] + values["losses"] + values["scratches"] == values["trades"] == len(case.trades)
    assert values["net_pnl_points"] == int(case.net_pnl_paise.sum()) / 100
    if not case.trades:
        return
    equity = case.curve().equity_points
    assert values["max_drawdown_frac"] <= 0
    assert values["max_drawdown_frac"] > -1 or equity.min() <= 0
    assert values["max_drawdown_points"] <= 0
    assert values["max_drawdown_booked_frac"] <= 0
    assert values["max_drawdown_frac"] <= values["max_drawdown_booked_frac"] or equity.min() <= 0
    assert 0 <= values["win_rate_frac"] <= 1
    assert 0 < values["time_in_market_frac"] <= 1
    assert values["worst_trade_points"] <= values["avg_pnl_points"] + 1e-9
    assert (values["cagr_frac"] is None) >= (equity.min() <= 0)
    start, trough = values["max_drawdown_start_date"], values["max_drawdown_trough_date"]
    recovery = values["max_drawdown_recovery_date"]
    assert (start is None) == (trough is None) == (values["max_drawdown_points"] == 0)
    if start is not None:
        assert values["first_entry_date"] <= start < trough
        assert recovery is None or trough < recovery <= values["last_exit_date"]
