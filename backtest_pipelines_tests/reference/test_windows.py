"""Hand-worked cases of the reference: windows, phases and contracts whose date was changed."""

from datetime import date
from decimal import Decimal

import pytest

from backtest_pipelines_tests.reference.backtest import Question, backtest
from backtest_pipelines_tests.reference.cases import held, said
from backtest_pipelines_tests.reference.chain import OCT_28, SEP_30, Chain, sep


def test_the_start_of_a_phase_buys_the_second_month_after_it_for_the_first_trade_only() -> None:
    chain = Chain({6: "17170.00", 7: "17170.00", 8: "17170.00", 9: "17170.00"})
    question = Question(spot_adjustment_type=1, phases=[(sep(3), SEP_30)], to_date=sep(16))
    trades, _ = backtest(chain.market(), question)
    assert held(trades) == [(3, 6), (6, 9), (9, 16)]
    assert [trade["future_expiry"] for trade in trades] == [OCT_28, SEP_30, SEP_30]


def test_a_phase_that_starts_on_no_session_starts_on_its_first_session() -> None:
    trades, _ = backtest(Chain().market(), Question(phases=[(sep(4), SEP_30)]))  # a Saturday
    assert (trades[0]["entry_date"], trades[0]["future_expiry"]) == (sep(6), OCT_28)


@pytest.mark.parametrize(
    ("phase_start", "from_date", "month"),
    [
        (date(2021, 9, 1), None, SEP_30),
        (sep(2), None, OCT_28),
        (sep(1), sep(1), OCT_28),
        (sep(1), sep(2), SEP_30),
        (sep(8), sep(9), SEP_30),
    ],
)
def test_only_a_phase_that_starts_inside_the_view_has_a_first_day(
    phase_start: date, from_date: date | None, month: date
) -> None:
    question = Question(phases=[(phase_start, SEP_30)], from_date=from_date)
    trades, _ = backtest(Chain().market(), question)
    assert trades[0]["future_expiry"] == month


def test_a_gap_between_phases_divides_a_window() -> None:
    phases = [(sep(2), sep(3)), (sep(7), sep(8))]
    trades, notices = backtest(Chain().market(), Question(phases=phases))
    assert held(trades) == [(2, 3), (7, 8)]
    assert {trade["call_expiry"] for trade in trades} == {sep(9)}
    assert notices == []


def test_phases_without_a_session_between_them_do_not_divide() -> None:
    trades, _ = backtest(Chain().market(), Question(phases=[(sep(2), sep(3)), (sep(6), sep(9))]))
    assert (held(trades)[0], trades[0]["future_expiry"]) == ((2, 9), OCT_28)


def test_a_window_cut_to_one_session_is_noted_and_one_outside_the_phases_is_silent() -> None:
    trades, notices = backtest(Chain().market(), Question(phases=[(sep(9), sep(16))]))
    assert held(trades) == [(9, 16)]
    assert said(notices) == [
        ("window_too_short", "", sep(9), sep(9), sep(9), None, sep(9)),
        ("window_too_short", "", sep(16), sep(16), sep(23), None, sep(16)),
    ]


def test_windows_that_leave_the_dates_asked_for_are_left_out_whole() -> None:
    trades, notices = backtest(Chain().market(), Question(from_date=sep(3), to_date=sep(22)))
    assert held(trades) == [(9, 16)]
    assert notices == []


def test_a_redated_contract_is_held_across_the_change_and_reported_under_its_final_date() -> None:
    chain = Chain()
    chain.redate(sep(16), sep(15), sep(13))
    chain.call(9, sep(16), 17000, close="80.00")
    chain.call(15, sep(15), 17000, close="30.00")
    trades, notices = backtest(chain.market(), Question())
    assert held(trades) == [(2, 9), (9, 15), (15, 23)]
    assert (trades[1]["call_expiry"], trades[1]["call_pnl"]) == (sep(15), Decimal("50.00"))
    assert notices == []


def test_a_redated_month_moves_future_and_call_together() -> None:
    chain = Chain()
    chain.redate(SEP_30, date(2021, 9, 28), sep(14))
    trades, notices = backtest(chain.market(), Question())
    assert {trade["future_expiry"] for trade in trades} == {date(2021, 9, 28)}
    assert notices == []


def test_a_chain_of_redatings_is_followed() -> None:
    chain = Chain()
    chain.redate(SEP_30, date(2021, 9, 28), sep(14))
    chain.redate(date(2021, 9, 28), date(2021, 9, 29), sep(20))
    trades, _ = backtest(chain.market(), Question())
    assert {trade["future_expiry"] for trade in trades} == {date(2021, 9, 29)}
    cut, _ = backtest(chain.market(), Question(to_date=sep(17)))
    assert {trade["future_expiry"] for trade in cut} == {date(2021, 9, 28)}


def test_seven_days_are_no_redating() -> None:
    chain = Chain()
    chain.redate(SEP_30, date(2021, 10, 7), sep(14))
    trades, notices = backtest(chain.market(), Question(from_date=sep(9), to_date=sep(16)))
    assert trades == []
    assert said(notices) == [("contract_missing_at_exit", "future", sep(9), sep(16), SEP_30, None, sep(16))]


@pytest.mark.parametrize(("kept", "is_redated"), [(10, False), (11, True)])
def test_half_of_the_contracts_must_reappear(kept: int, *, is_redated: bool) -> None:
    chain = Chain()
    chain.redate(sep(16), sep(15), sep(13))  # 21 calls
    for strike in range(17500, 16500 + 50 * (kept - 1), -50):
        chain.drop(13, "CE", sep(15), strike)
    trades, notices = backtest(chain.market(), Question(from_date=sep(9), to_date=sep(15)))
    assert bool(trades) == is_redated
    assert [n["kind"] for n in notices] == ([] if is_redated else ["no_tradable_strike"])
