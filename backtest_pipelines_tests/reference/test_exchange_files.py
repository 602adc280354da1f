"""The writers give back what they were given, in the exchange's own form; random markets are worth asking."""

import zipfile
from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from backtest_pipelines_tests.reference.backtest import Question, backtest
from backtest_pipelines_tests.reference.chain import Chain, sep
from backtest_pipelines_tests.reference.exchange_files import (
    names,
    write_index_closes,
    write_legacy,
    write_market,
    write_udiff,
)
from backtest_pipelines_tests.reference.market import Market, read_folder
from backtest_pipelines_tests.reference.notices import KINDS
from backtest_pipelines_tests.reference.random_market import random_market, random_question
from backtest_pipelines_tests.reference.view import View


def test_names_are_those_of_the_exchange() -> None:
    assert names(date(2021, 3, 18)) == (
        "fo18MAR2021bhav.csv",
        "BhavCopy_NSE_FO_0_0_0_20210318_F_0000.csv",
        "ind_close_all_18032021.csv",
    )


def test_legacy_files_have_the_exchange_s_quirks(tmp_path: Path) -> None:
    lines = write_legacy(tmp_path, Chain().market(), sep(2), zipped=False).read_text().splitlines()
    assert all(line.endswith(",") and line.count(",") == 15 for line in lines)
    assert "FUTIDX,NIFTY,30-Sep-2021,0,XX,17050,17050,17050,17050,17051,10,50,750,0,02-SEP-2021," in lines


def test_udiff_rows_have_34_columns_and_are_unsorted(tmp_path: Path) -> None:
    path = write_udiff(tmp_path, Chain().market(), sep(2))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == [names(sep(2)).udiff]
        lines = archive.read(names(sep(2)).udiff).decode().splitlines()
    assert {len(line.split(",")) for line in lines} == {34}
    assert lines[1:] != sorted(lines[1:])


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_a_written_market_is_read_back_unchanged(tmp_path: Path, seed: int, *, zipped: bool) -> None:
    market = random_market(seed, session_count=12)
    write_market(tmp_path, market, zipped=zipped)
    assert read_folder(tmp_path).sorted() == market.sorted()


def test_udiff_files_carry_the_index_close_as_underlying(tmp_path: Path) -> None:
    market = Chain().market()
    write_udiff(tmp_path, market, sep(2))
    expected = [replace(q, underlying=market.index_closes[0].close) for q in market.quotes if q.session == sep(2)]
    assert read_folder(tmp_path).sorted().quotes == Market(expected, []).sorted().quotes


def test_two_files_of_one_session_are_refused(tmp_path: Path) -> None:
    market = Chain().market()
    write_index_closes(tmp_path, market, sep(2))
    write_index_closes(tmp_path, market, sep(2), zipped=True)
    with pytest.raises(ValueError, match="second file with index closes of 2021-09-02"):
        read_folder(tmp_path)


def test_the_same_seed_gives_the_same_market_and_question() -> None:
    assert random_market(7) == random_market(7)
    assert random_question(7) == random_question(7, random_market(7))


def test_random_markets_bring_out_every_notice_exact_hits_and_redated_contracts() -> None:
    kinds: Counter[str] = Counter()
    trades_made = exact_hits = redated = 0
    for seed in range(60):
        market = random_market(seed)
        redated += len(View(market, market.symbols()[0], None, None).redatings)
        for number in range(4):
            question = random_question(1000 * seed + number, market)
            trades, notices = backtest(market, question)
            trades_made += len(trades)
            kinds.update(notice["kind"] for notice in notices)
            if question.spot_adjustment_type and 0 < question.spot_adjustment < 100:
                exact_hits += sum(
                    abs(100 * (trade["exit_spot"] - trade["entry_spot"]))
                    == question.spot_adjustment * trade["entry_spot"]
                    for trade in trades
                )
    assert set(kinds) == set(KINDS)
    assert trades_made > 500
    assert exact_hits > 20
    assert redated > 20


def test_real_udiff_files_give_a_trade_checked_by_hand(real_data: Path, tmp_path: Path) -> None:
    for day in (6, 7, 10, 11, 12, 13):
        name = f"{names(date(2025, 2, day)).udiff}.zip"
        (tmp_path / name).symlink_to((real_data / "bhavcopy" / "udiff" / name).resolve())
    trades, notices = backtest(read_folder(tmp_path), Question(call_sell_position=Decimal(1)))
    (trade,) = trades
    assert notices == []
    assert (trade["entry_spot"], trade["exit_spot"]) == (Decimal("23603.35"), Decimal("23031.40"))
    assert (trade["call_strike"], trade["call_pnl"]) == (23800, Decimal("119.40") - Decimal("0.05"))
    assert (trade["future_expiry"], trade["future_pnl"]) == (
        date(2025, 2, 27),
        Decimal("23107.75") - Decimal("23688.90"),
    )
    assert trade["call_entry_turnover_inr"] == Decimal("299410570725.00")
    assert (trade["lot_size"], trade["net_pnl_inr_per_lot"]) == (75, Decimal("-34635.00"))


def test_a_real_legacy_file_is_read(real_data: Path) -> None:
    market = read_folder(real_data / "bhavcopy" / "legacy")
    assert market.sessions() == [date(2021, 3, 18)]
    (call,) = [
        q
        for q in market.quotes
        if (q.symbol, q.instrument, q.expiry, q.strike) == ("NIFTY", "CE", date(2021, 3, 18), Decimal(12150))
    ]
    assert (call.close, call.contracts, call.turnover_inr) == (Decimal(2674), 2, Decimal(2_225_000))
