"""The reference makes the trades of the published sheet."""

from pathlib import Path

from backtest_pipelines_tests.reference.backtest import backtest
from backtest_pipelines_tests.reference.sheet import sheet_market, sheet_question, sheet_trades


def test_the_published_sheet_is_reproduced_trade_by_trade(real_data: Path) -> None:
    trades, notices = backtest(sheet_market(real_data), sheet_question(real_data))
    expected = sheet_trades(real_data)
    assert len(expected) == 129
    assert [{name: trade[name] for name in expected[0]} for trade in trades] == expected
    assert {notice["kind"] for notice in notices} == {"lot_size_differs"}
