"""The equity curve is that of a plain walk over the trades, session by session, on random markets."""

import random
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from backtest_pipelines.errors import MissingDataError
from backtest_pipelines.executions.compute import compute
from backtest_pipelines_tests.comparison import asked, ingested, plain_rows
from backtest_pipelines_tests.properties.test_engine_equals_reference import questions_of
from backtest_pipelines_tests.reference.backtest import backtest
from backtest_pipelines_tests.reference.market import Market
from backtest_pipelines_tests.reference.notices import Row
from backtest_pipelines_tests.reference.question import Question
from backtest_pipelines_tests.reference.random_market import random_market
from backtest_pipelines_tests.reference.view import View

Carried = tuple[str, date, date, date]
MARKETS = range(200, 210)
SHARE_LOST = 0.06


def market_with_gaps(seed: int) -> Market:
    """Return a random market from which rows are lost, so that held contracts miss some sessions."""
    market, rng = random_market(seed), random.Random(seed)
    return Market([quote for quote in market.quotes if rng.random() >= SHARE_LOST], market.index_closes)


def prices(view: View, trade: Row, leg: str, held: list[date]) -> tuple[list[Decimal], list[Carried]]:
    """Return a leg's price on each session that it is held, and where an older one had to do."""
    instrument, strike = ("CE", trade["call_strike"]) if leg == "call" else ("FUT", Decimal(0))
    marked, carried = [trade[f"{leg}_entry_price"]], []
    for session in held[1:-1]:
        listed = view.contracts(session, instrument, trade[f"{leg}_expiry"])
        closes = [quote.close for quote in listed if quote.strike == strike]
        if not closes:
            carried.append((leg, trade["entry_date"], trade["exit_date"], session))
        marked.append(closes[0] if closes else marked[-1])
    return [*marked, trade[f"{leg}_exit_price"]], carried


def walked(market: Market, question: Question) -> tuple[list[Row], list[Carried]]:
    """Return the rows of the equity curve and the marks that were carried."""
    view = View(market, question.symbol, question.from_date, question.to_date)
    trades, _ = backtest(market, question)
    open_pnl: dict[date, Decimal] = {}
    booked: dict[date, Decimal] = {}
    held_into: set[date] = set()
    carried: list[Carried] = []
    for trade in trades:
        held = [session for session in view.sessions if trade["entry_date"] <= session <= trade["exit_date"]]
        call, call_carried = prices(view, trade, "call", held)
        future, future_carried = prices(view, trade, "future", held)
        carried += call_carried + future_carried
        held_into.update(held[1:])
        for session, call_price, future_price in zip(held[1:-1], call[1:-1], future[1:-1], strict=True):
            open_pnl[session] = call[0] - call_price + future_price - future[0]
        booked[held[-1]] = trade["net_pnl"]
    rows = []
    level = trades[0]["entry_spot"] if trades else Decimal(0)
    for session in view.sessions:
        if trades and trades[0]["entry_date"] <= session <= trades[-1]["exit_date"]:
            level += booked.get(session, Decimal(0))
            rows.append(
                {
                    "session": session,
                    "equity_points": level + open_pnl.get(session, Decimal(0)),
                    "booked_points": level,
                    "is_held": session in held_into,
                }
            )
    return rows, sorted(carried)


@pytest.mark.parametrize("seed", MARKETS)
def test_the_equity_curve_equals_the_walk(seed: int, tmp_path: Path) -> None:
    market = market_with_gaps(seed)
    store = ingested(tmp_path, market)
    for drawn in questions_of(seed, market):
        rows, carried = walked(market, drawn)
        question = asked(drawn)
        try:
            view = store.symbol(question.symbol).view(question.from_date, question.to_date)
        except MissingDataError:
            assert not rows
            continue
        answer = compute(view, question, "0" * 64)
        assert plain_rows(answer.equity) == rows, drawn
        noticed = [row for row in answer.notices.to_pylist() if row["kind"] == "mark_carried"]
        assert sorted((row["leg"], row["entry_date"], row["exit_date"], row["date"]) for row in noticed) == carried


def test_the_random_markets_hold_carried_marks_of_both_legs() -> None:
    markets = [(seed, market_with_gaps(seed)) for seed in MARKETS]
    found = [walked(market, question)[1] for seed, market in markets for question in questions_of(seed, market)]
    legs = [leg for carried in found for leg, *_ in carried]
    assert legs.count("call") >= 10
    assert legs.count("future") >= 5
