"""All trades of the published sheet, through files in the exchange's formats and the command line."""

import csv
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from backtest_pipelines_tests.cli.conftest import process
from backtest_pipelines_tests.reference.exchange_files import write_index_closes, write_legacy, write_udiff
from backtest_pipelines_tests.reference.market import Market
from backtest_pipelines_tests.reference.sheet import sheet_market, sheet_trades

TRADES_OF_THE_SHEET = 129


@pytest.mark.parametrize(
    ("file_format", "calendars"),
    [("legacy", ()), ("udiff", ()), ("legacy", ("NIFTY_expiries.csv", "trading_days.csv"))],
    ids=["legacy", "udiff", "legacy with calendars"],
)
def test_every_trade_of_the_sheet_is_found_exactly(
    real_data: Path, tmp_path: Path, file_format: str, calendars: tuple[str, ...]
) -> None:
    _write(tmp_path / "files", sheet_market(real_data), file_format)
    options = [part for name in calendars for part in ("--calendar", real_data / "calendar" / name)]
    ingested = process("ingest", tmp_path / "files", "--home", tmp_path / "home", *options)
    assert ingested.code == 0, ingested.err
    phases = real_data / "tradesheet" / "phases.csv"
    done = process(
        *("run", "call_sell_future_buy_weekly", "--symbol", "NIFTY", "--set", "call_sell_position=1.0"),
        *("--phases", phases, "--output", tmp_path / "trades.csv", "--home", tmp_path / "home"),
    )
    assert done.code == 0, done.err
    expected = sheet_trades(real_data)
    with (tmp_path / "trades.csv").open(newline="") as file:
        found = [{name: _typed(row[name]) for name in expected[0]} for row in csv.DictReader(file)]
    assert len(expected) == TRADES_OF_THE_SHEET
    assert found == expected


def _write(folder: Path, market: Market, file_format: str) -> None:
    folder.mkdir()
    for session, part in _by_session(market).items():
        if file_format == "legacy":
            write_legacy(folder, part, session)
            write_index_closes(folder, part, session)
        else:
            write_udiff(folder, part, session)


def _by_session(market: Market) -> dict[date, Market]:
    parts: dict[date, Market] = {}
    for quote in market.quotes:
        parts.setdefault(quote.session, Market([], [])).quotes.append(quote)
    for close in market.index_closes:
        parts[close.session].index_closes.append(close)
    return parts


def _typed(text: str) -> date | Decimal:
    return date.fromisoformat(text) if text.count("-") == 2 else Decimal(text)
