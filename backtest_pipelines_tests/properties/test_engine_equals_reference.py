"""The engine finds the trades and notices of the slow reference on random markets."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from backtest_pipelines.engine.notices import NoticeKind
from backtest_pipelines.errors import MissingDataError
from backtest_pipelines.executions.compute import compute
from backtest_pipelines.results.fingerprint import fingerprint
from backtest_pipelines_tests.comparison import VARIANTS, asked, engine_rows, ingested, reference_rows
from backtest_pipelines_tests.reference.backtest import backtest
from backtest_pipelines_tests.reference.legs import strike_target
from backtest_pipelines_tests.reference.market import Market
from backtest_pipelines_tests.reference.notices import Row
from backtest_pipelines_tests.reference.question import Question
from backtest_pipelines_tests.reference.random_market import random_market, random_question

MARKETS, QUESTIONS = 40, 6


def questions_of(seed: int, market: Market, count: int = QUESTIONS) -> list[Question]:
    """Return random questions about a random market, on the variants of the catalogue."""
    drawn = [random_question(seed * 100 + number, market) for number in range(count)]
    return [replace(question, sessions_before=question.sessions_before % len(VARIANTS)) for question in drawn]


@pytest.mark.parametrize("seed", range(MARKETS))
def test_engine_equals_reference(seed: int, tmp_path: Path) -> None:
    market = random_market(seed)
    store = ingested(tmp_path, market)
    for question in questions_of(seed, market):
        assert engine_rows(store, asked(question)) == reference_rows(market, question), question


def test_the_random_markets_hold_exact_hits_and_exact_half_strikes() -> None:
    exact_hits = exact_halves = 0
    for seed in range(MARKETS):
        market = random_market(seed)
        for question in questions_of(seed, market):
            trades, _ = reference_rows(market, question)
            for trade in trades:
                entry, leave = Decimal(str(trade["entry_spot"])), Decimal(str(trade["exit_spot"]))
                exact_hits += (
                    question.spot_adjustment_type > 0 and abs(leave - entry) * 100 == question.spot_adjustment * entry
                )
                wanted = entry * (1 + question.call_sell_position / 100) / 100
                exact_halves += wanted % 1 == Decimal("0.5")
                assert strike_target(entry, question.call_sell_position) % 100 == 0
    assert exact_hits >= 20
    assert exact_halves >= 20


@pytest.mark.parametrize("seed", range(0, 40, 5))
def test_rows_and_columns_are_in_the_documented_order(seed: int, tmp_path: Path) -> None:
    market = random_market(seed)
    store = ingested(tmp_path, market)
    for drawn in questions_of(seed, market):
        question = asked(drawn)
        try:
            view = store.symbol(question.symbol).view(question.from_date, question.to_date)
        except MissingDataError:
            continue
        answer = compute(view, question, "0" * 64)
        rows, notices = backtest(market, drawn)
        assert all(answer.trades.column_names == list(row) for row in rows)
        assert all(answer.notices.column_names == list(row) for row in notices)
        trades = answer.trades.to_pylist()
        assert trades == sorted(trades, key=lambda row: row["entry_date"])
        given = answer.notices.to_pylist()
        assert given == sorted(given, key=_documented_order)


def _documented_order(row: Row) -> tuple[date, date, int, str]:
    return (
        row["entry_date"] or row["date"],
        row["exit_date"] or date.min,
        [kind.value for kind in NoticeKind].index(row["kind"]),
        row["leg"],
    )


@pytest.mark.parametrize("seed", range(100, 108))
def test_nothing_after_the_last_date_matters(seed: int, tmp_path: Path) -> None:
    """Asked to a date, the answer and its identity are those of a panel that holds nothing later."""
    market = random_market(seed)
    sessions = sorted({quote.session for quote in market.quotes})
    last = sessions[len(sessions) * 2 // 3]
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole, cut = ingested(tmp_path / "whole", market), ingested(tmp_path / "cut", _until(market, last))
    for drawn in questions_of(seed, market):
        question = asked(replace(drawn, from_date=None, to_date=last))
        assert engine_rows(whole, question) == engine_rows(cut, question)
        identities = {
            fingerprint(question, store.symbol(question.symbol).view(None, last).digest) for store in (whole, cut)
        }
        assert len(identities) == 1


def _until(market: Market, last: date) -> Market:
    return Market(
        [quote for quote in market.quotes if quote.session <= last],
        [close for close in market.index_closes if close.session <= last],
    )
