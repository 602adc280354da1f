"""Hand-worked cases of the reference: which trades are made, and at which prices."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from backtest_pipelines_tests.reference.backtest import Question, backtest
from backtest_pipelines_tests.reference.cases import held
from backtest_pipelines_tests.reference.chain import SEP_30, Chain, sep
from backtest_pipelines_tests.reference.legs import strike_target


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


def test_no_data_gives_no_trades() -> None:
    assert backtest(Chain().market(), Question(symbol="BANKNIFTY")) == ([], [])
    assert backtest(Chain().market(), Question(from_date=date(2022, 1, 1))) == ([], [])


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
