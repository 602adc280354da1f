"""Hand-worked cases of the reference: what is noted, and where the data is incomplete."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from backtest_pipelines_tests.reference.backtest import Question, backtest
from backtest_pipelines_tests.reference.cases import held, said
from backtest_pipelines_tests.reference.chain import NOV_25, OCT_28, SEP_30, Chain, sep
from backtest_pipelines_tests.reference.market import Market


def test_every_problem_of_a_trade_is_noted_and_the_trade_is_not_made() -> None:
    chain = Chain()
    chain.drop(9, "CE", sep(9), 17000)
    chain.drop(2, "FUT", SEP_30)
    chain.drop(9, "FUT", SEP_30)
    trades, notices = backtest(chain.market(), Question(to_date=sep(9)))
    assert trades == []
    assert said(notices) == [
        ("contract_missing_at_exit", "call", sep(2), sep(9), sep(9), Decimal(17000), sep(9)),
        ("contract_missing_at_exit", "future", sep(2), sep(9), SEP_30, None, sep(9)),
        ("contract_missing_at_entry", "future", sep(2), sep(9), SEP_30, None, sep(2)),
    ]


def test_no_tradable_strike_names_the_target() -> None:
    trades, notices = backtest(Chain().market(), Question(call_sell_position=Decimal(50), to_date=sep(9)))
    assert trades == []
    assert said(notices) == [("no_tradable_strike", "call", sep(2), sep(9), sep(9), Decimal(25500), sep(2))]


def test_no_future_expiry_at_the_start_of_a_phase_without_a_second_month() -> None:
    chain = Chain()
    chain.rows = {key: q for key, q in chain.rows.items() if key[2] not in {OCT_28, NOV_25}}
    trades, notices = backtest(chain.market(), Question(phases=[(sep(2), SEP_30)], to_date=sep(9)))
    assert trades == []
    assert said(notices) == [("no_future_expiry", "future", sep(2), sep(9), None, None, sep(2))]


def test_an_expiry_without_a_session_loses_both_its_windows_whatever_the_phases() -> None:
    chain = Chain()
    chain.drop_session(9)
    trades, notices = backtest(chain.market(), Question(phases=[(sep(20), sep(23))]))
    assert held(trades) == [(20, 23)]
    assert said(notices) == [
        ("expiry_not_a_session", "", None, None, sep(9), None, sep(9)),
        ("expiry_not_a_session", "", None, None, sep(16), None, sep(9)),
    ]


@pytest.mark.parametrize(("adjustment_type", "made"), [(0, [(2, 9), (9, 16)]), (3, [(9, 16)])])
def test_a_missing_index_close_matters_where_it_is_needed(adjustment_type: int, made: list[tuple[int, int]]) -> None:
    chain = Chain()
    del chain.closes[sep(7)]
    del chain.closes[sep(23)]
    trades, notices = backtest(chain.market(), Question(spot_adjustment_type=adjustment_type))
    assert held(trades) == made
    expected = [("index_close_missing", "", sep(16), sep(23), sep(23), None, sep(23))]
    if adjustment_type:
        expected.insert(0, ("index_close_missing", "", sep(2), sep(9), sep(9), None, sep(7)))
    assert said(notices) == expected


def test_stale_closes_at_exit_are_used_and_noted() -> None:
    chain = Chain()
    chain.call(9, sep(9), 17000, contracts=0)
    chain.future(9, SEP_30, contracts=0)
    chain.future(16, SEP_30, contracts=0)
    trades, notices = backtest(chain.market(), Question(to_date=sep(9)))
    assert held(trades) == [(2, 9)]
    assert said(notices) == [
        ("stale_close_at_exit", "call", sep(2), sep(9), sep(9), Decimal(17000), sep(9)),
        ("stale_close_at_exit", "future", sep(2), sep(9), SEP_30, None, sep(9)),
    ]


def test_the_lot_of_the_file_wins_and_a_different_lot_of_the_future_is_noted() -> None:
    chain = Chain()
    chain.call(2, sep(9), 17000, lot_size=25)
    trades, notices = backtest(chain.market(), Question(to_date=sep(9)))
    assert trades[0]["lot_size"] == 25
    assert said(notices) == [("lot_size_differs", "future", sep(2), sep(9), SEP_30, None, sep(2))]


def test_an_unknown_lot_leaves_the_figures_per_lot_null() -> None:
    def in_2010(day: date) -> date:  # before the first known lot of NIFTY
        return day.replace(year=2010)

    market = Chain().market()
    market = Market(
        [replace(q, session=in_2010(q.session), expiry=in_2010(q.expiry)) for q in market.quotes],
        [replace(close, session=in_2010(close.session)) for close in market.index_closes],
    )
    trades, notices = backtest(market, Question(brokerage_inr_per_order=Decimal(20)))
    assert len(trades) == 3
    for trade in trades:
        assert trade["lot_size"] is trade["net_pnl_inr_per_lot"] is None
        assert trade["charges_inr_per_lot"] is trade["net_after_charges_inr_per_lot"] is None
    assert [(n["kind"], n["leg"], n["strike"]) for n in notices] == [("lot_size_unknown", "call", Decimal(17000))] * 3


def test_windows_between_two_monthlies_say_that_there_is_no_weekly() -> None:
    chain = Chain()
    weeklies = {sep(2), sep(9), sep(16), sep(23)}
    chain.rows = {key: q for key, q in chain.rows.items() if key[2] not in weeklies - {sep(2), sep(16)}}
    for session in (2, 3, 6, 7, 8, 9, 10, 13, 14, 15, 16):
        chain.add(sep(session), "FUT", sep(16), 0, "17010.00")
    chain.add(sep(2), "FUT", sep(2), 0, "17000.00")
    trades, notices = backtest(chain.market(), Question())
    assert held(trades) == [(2, 16)]
    assert said(notices) == [("no_weekly_expiry", "", sep(2), sep(16), sep(16), None, sep(2))]


def test_the_underlying_of_the_bhavcopy_wins_over_the_index_close_file() -> None:
    chain = Chain()
    chain.call(2, sep(9), 17000, underlying=Decimal("17101.00"))
    trades, _ = backtest(chain.market(), Question())
    assert (trades[0]["entry_spot"], trades[0]["call_strike"]) == (Decimal("17101.00"), 17100)


def test_a_date_with_only_an_index_close_is_no_session() -> None:
    chain = Chain({11: "17000.00"})  # a Saturday
    chain.drop_session(8)
    trades, _ = backtest(chain.market(), Question(sessions_before=1))
    assert held(trades)[0] == (7, 15)
