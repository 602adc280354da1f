"""Hand-worked cases for the reference itself, and the published trade sheet."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from backtest_pipelines_tests.reference.backtest import Question, backtest
from backtest_pipelines_tests.reference.chain import NOV_25, OCT_28, SEP_30, Chain, sep
from backtest_pipelines_tests.reference.charges import trade_charges_inr
from backtest_pipelines_tests.reference.legs import strike_target
from backtest_pipelines_tests.reference.market import Market
from backtest_pipelines_tests.reference.sheet import sheet_market, sheet_question, sheet_trades
from backtest_pipelines_tests.reference.tables import lot_by_expiry

Rows = list[dict[str, Any]]


def held(trades: Rows) -> list[tuple[int, int]]:
    return [(trade["entry_date"].day, trade["exit_date"].day) for trade in trades]


def said(notices: Rows) -> list[tuple[Any, ...]]:
    return [
        (n["kind"], n["leg"], n["entry_date"], n["exit_date"], n["expiry"], n["strike"], n["date"]) for n in notices
    ]


def test_a_trade_has_all_columns_in_order_and_the_prices_of_its_two_contracts() -> None:
    chain = Chain({9: "17190.00"})
    chain.call(2, sep(9), 17200, close="52.85", turnover_inr=Decimal(123_000))
    chain.call(9, sep(9), 17200, close="151.00", turnover_inr=Decimal(456_000))
    chain.future(2, SEP_30, close="17010.25")
    chain.future(9, SEP_30, close="17251.20")
    trades, notices = backtest(chain.market(), Question(call_sell_position=Decimal(1)))
    assert list(trades[0].items()) == [
        ("entry_date", sep(2)),
        ("exit_date", sep(9)),
        ("entry_spot", Decimal("17000.00")),
        ("exit_spot", Decimal("17190.00")),
        ("call_expiry", sep(9)),
        ("call_strike", Decimal(17200)),
        ("call_entry_price", Decimal("52.85")),
        ("call_exit_price", Decimal("151.00")),
        ("call_pnl", Decimal("-98.15")),
        ("future_expiry", SEP_30),
        ("future_entry_price", Decimal("17010.25")),
        ("future_exit_price", Decimal("17251.20")),
        ("future_pnl", Decimal("240.95")),
        ("net_pnl", Decimal("142.80")),
        ("call_entry_turnover_inr", Decimal(123_000)),
        ("call_exit_turnover_inr", Decimal(456_000)),
        ("lot_size", 50),
        ("net_pnl_inr_per_lot", Decimal("7140.00")),
    ]
    assert held(trades) == [(2, 9), (9, 16), (16, 23)]
    assert notices == []


def test_t1_and_t2_shift_both_ends_by_sessions_and_sell_the_coming_expiry() -> None:
    market = Chain().market()
    one_before, _ = backtest(market, Question(sessions_before=1))
    two_before, _ = backtest(market, Question(sessions_before=2))
    assert held(one_before) == [(8, 15), (15, 22)]
    assert held(two_before) == [(7, 14), (14, 21)]
    assert [trade["call_expiry"] for trade in two_before] == [sep(16), sep(23)]


@pytest.mark.parametrize(
    ("adjustment_type", "expected"),
    [(0, [(2, 9)]), (1, [(2, 3), (3, 9)]), (2, [(2, 6), (6, 9)]), (3, [(2, 3), (3, 6), (6, 9)])],
)
def test_rises_and_falls_that_hit_the_threshold_exactly_reenter(
    adjustment_type: int, expected: list[tuple[int, int]]
) -> None:
    # From 17000: +1 % is 17170 (exact), -1 % is 16830 (exact). From 17170: -1 % is 16998.30.
    closes = {3: "17170.00", 6: "16830.00", 7: "16830.00", 8: "16840.00", 9: "16900.00"}
    question = Question(spot_adjustment_type=adjustment_type, spot_adjustment=Decimal(1), call_sell_position=Decimal(0))
    trades, _ = backtest(Chain(closes).market(), question)
    assert held(trades)[: len(expected)] == expected


def test_a_move_one_paisa_short_of_the_threshold_does_not_trigger() -> None:
    trades, _ = backtest(Chain({3: "17169.99"}).market(), Question(spot_adjustment_type=1))
    assert held(trades)[0] == (2, 9)


def test_a_reentry_chooses_its_strike_afresh_for_the_same_expiry() -> None:
    closes = dict.fromkeys((3, 6, 7, 8, 9), "17170.00")
    trades, _ = backtest(Chain(closes).market(), Question(spot_adjustment_type=1))
    assert [(t["call_strike"], t["call_expiry"]) for t in trades[:2]] == [(17000, sep(9)), (17200, sep(9))]


def test_a_trigger_on_the_last_session_makes_no_trade_of_zero_length() -> None:
    trades, _ = backtest(Chain({9: "17170.00"}).market(), Question(spot_adjustment_type=1))
    assert held(trades)[:2] == [(2, 9), (9, 16)]


def test_triggers_follow_the_index_where_no_position_could_be_opened() -> None:
    chain = Chain({3: "17170.00", 6: "17341.70"})  # +1 % of 17170 is 17341.70
    chain.drop(3, "FUT", SEP_30)
    trades, notices = backtest(chain.market(), Question(spot_adjustment_type=1, to_date=sep(9)))
    assert held(trades) == [(6, 9)]
    assert [(n["kind"], n["entry_date"].day, n["exit_date"].day) for n in notices] == [
        ("contract_missing_at_exit", 2, 3),
        ("contract_missing_at_entry", 3, 6),
    ]


@pytest.mark.parametrize(
    ("adjustment_type", "expected"),
    [
        (1, [(2, 3), (3, 7), (7, 8), (8, 9)]),
        (2, [(2, 3), (3, 6), (6, 9)]),
        (3, [(2, 3), (3, 6), (6, 7), (7, 8), (8, 9)]),
    ],
)
def test_a_threshold_of_zero_triggers_on_every_move_in_its_direction_and_on_none(
    adjustment_type: int, expected: list[tuple[int, int]]
) -> None:
    closes = {3: "17000.00", 6: "16999.99", 7: "17000.00", 8: "17000.01", 9: "17000.00"}
    question = Question(spot_adjustment_type=adjustment_type, spot_adjustment=Decimal(0), to_date=sep(9))
    trades, _ = backtest(Chain(closes).market(), question)
    assert held(trades) == expected


@pytest.mark.parametrize(
    ("spot", "position", "target"),
    [
        ("10050.00", "0", 10000),
        ("10150.00", "0", 10200),
        ("10050.01", "0", 10100),
        ("10149.99", "0", 10100),
        ("5000.00", "1", 5000),  # 5050 exactly
        ("6000.00", "2.5", 6200),  # 6150 exactly
        ("10000.00", "-0.5", 10000),  # 9950 exactly
        ("20300.00", "-50", 10200),  # 10150 exactly
        ("17016.50", "-3.3333", 16400),  # 16449.28...
    ],
)
def test_the_strike_target_rounds_exact_halves_to_the_even_hundred(spot: str, position: str, target: int) -> None:
    assert strike_target(Decimal(spot), Decimal(position)) == target


def test_the_call_is_the_next_traded_one_on_the_hundred_from_above() -> None:
    chain = Chain()
    chain.call(2, sep(9), 17000, contracts=0)
    chain.add(sep(2), "CE", sep(9), "17100.05", "1.00")
    chain.call(2, sep(9), 17100, contracts=0)
    trades, _ = backtest(chain.market(), Question())
    assert trades[0]["call_strike"] == 17200


def test_the_call_is_the_next_traded_one_on_the_hundred_from_below_for_a_negative_position() -> None:
    chain = Chain()
    chain.call(2, sep(9), 16800, contracts=0)
    trades, _ = backtest(chain.market(), Question(call_sell_position=Decimal(-1)))
    assert trades[0]["call_strike"] == 16700  # target 16830 -> 16800


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


def test_intrinsic_value_replaces_the_close_on_expiry_day_only_and_needs_no_row() -> None:
    chain = Chain({9: "17123.45", 16: "16900.00"})
    chain.drop(9, "CE", sep(9), 17000)
    chain.call(16, sep(16), 17100, contracts=0)
    question = Question(exit_at_expiry="intrinsic", to_date=sep(16), brokerage_inr_per_order=Decimal(20))
    trades, notices = backtest(chain.market(), question)
    assert [(t["call_strike"], t["call_exit_price"], t["call_exit_turnover_inr"]) for t in trades] == [
        (17000, Decimal("123.45"), None),
        (17100, Decimal(0), None),
    ]
    assert notices == []
    earlier, _ = backtest(chain.market(), Question(exit_at_expiry="intrinsic", sessions_before=1))
    assert earlier[0]["call_exit_price"] == Decimal("100.00")


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


def test_charges_of_2025_worked_by_hand() -> None:
    # call sold   7,500: STT 7.5, fee 2.62725, IPFT 0.0375, SEBI 0.0075, 20, GST 4.074255    =  34.246505
    # future    1,770,000: fee 30.621, IPFT 1.77, SEBI 1.77, stamp 35.4, 20, GST 9.43038      =  98.99138
    # call bought 3,000: fee 1.0509, IPFT 0.015, SEBI 0.003, stamp 0.09, 20, GST 3.789702    =  24.948602
    # future    1,762,500: STT 352.5, fee 30.49125, IPFT 1.7625, SEBI 1.7625, 20, GST 9.405675 = 415.921925
    charges = trade_charges_inr(
        date(2025, 2, 6),
        date(2025, 2, 13),
        (Decimal(100), Decimal(40)),
        (Decimal(23600), Decimal(23500)),
        75,
        Decimal(20),
    )
    assert charges == Decimal("574.11")


@pytest.mark.parametrize(("call_exit", "expected"), [(Decimal(20), "104.72"), (None, "103.79")])
def test_charges_of_2020_worked_by_hand(call_exit: Decimal | None, expected: str) -> None:
    # 28 May: SEBI fee 10 a crore, no stamp duty. 2 July: 5 a crore, stamp duty. No IPFT, no GST on SEBI's.
    # call sold   3,750: STT 1.875, fee 1.875, SEBI 0.00375, GST 0.3375     =  4.09125
    # future    675,000: fee 12.825, SEBI 0.675, GST 2.3085                 = 15.8085
    # call bought 1,500: fee 0.75, SEBI 0.00075, stamp 0.045, GST 0.135     =  0.93075
    # future    682,500: STT 68.25, fee 12.9675, SEBI 0.34125, GST 2.33415  = 83.8929
    charges = trade_charges_inr(
        date(2020, 5, 28),
        date(2020, 7, 2),
        (Decimal(50), call_exit),
        (Decimal(9000), Decimal(9100)),
        75,
        Decimal(0),
    )
    assert charges == Decimal(expected)


def test_costs_add_two_columns() -> None:
    trades, _ = backtest(Chain().market(), Question(brokerage_inr_per_order=Decimal(0), to_date=sep(9)))
    # 2 and 9 September 2021, lot 50: premium 5,000, future 852,500, both ways.
    # sold 5,000: STT 2.5, fee 2.65, SEBI 0.005, GST 0.477; bought: the same with stamp 0.15 for the STT
    # futures: fee 17.05, SEBI 0.8525, GST 3.069 twice; stamp 17.05; STT 85.25
    # 5.632 + 3.282 + 2 * 20.9715 + 102.30 = 153.157
    assert list(trades[0])[-2:] == ["charges_inr_per_lot", "net_after_charges_inr_per_lot"]
    assert trades[0]["charges_inr_per_lot"] == Decimal("153.16")
    assert trades[0]["net_after_charges_inr_per_lot"] == Decimal("-153.16")


@pytest.mark.parametrize(
    ("symbol", "expiry", "is_monthly", "lot"),
    [
        ("NIFTY", date(2021, 7, 29), True, 50),
        ("NIFTY", date(2021, 7, 22), False, 75),
        ("NIFTY", date(2024, 4, 25), True, 50),
        ("NIFTY", date(2024, 5, 2), False, 25),
        ("NIFTY", date(2025, 1, 30), True, 25),
        ("NIFTY", date(2025, 1, 2), False, 75),
        ("BANKNIFTY", date(2023, 7, 20), False, 25),
        ("BANKNIFTY", date(2023, 8, 3), False, 15),
        ("BANKNIFTY", date(2018, 10, 25), True, None),
        ("FINNIFTY", date(2024, 7, 30), True, 25),
        ("FINNIFTY", date(2024, 7, 30), False, 40),
    ],
)
def test_lots_follow_the_expiry(symbol: str, expiry: date, *, is_monthly: bool, lot: int | None) -> None:
    assert lot_by_expiry(symbol, expiry, is_monthly=is_monthly) == lot


@pytest.mark.parametrize(
    "parameters",
    [
        {"phases": [(sep(2), sep(9)), (sep(9), sep(16))]},
        {"phases": [(sep(9), sep(2))]},
        {"spot_adjustment": Decimal("1.00001")},
        {"call_sell_position": Decimal(51)},
    ],
)
def test_bad_requests_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"phase|decimal places|out of range"):
        Question(**parameters)


def test_no_data_gives_no_trades() -> None:
    assert backtest(Chain().market(), Question(symbol="BANKNIFTY")) == ([], [])
    assert backtest(Chain().market(), Question(from_date=date(2022, 1, 1))) == ([], [])


def test_the_published_sheet_is_reproduced_trade_by_trade(real_data: Path) -> None:
    trades, notices = backtest(sheet_market(real_data), sheet_question(real_data))
    expected = sheet_trades(real_data)
    assert len(expected) == 129
    assert [{name: trade[name] for name in expected[0]} for trade in trades] == expected
    assert {notice["kind"] for notice in notices} == {"lot_size_differs"}
