"""Strikes, re-entries, windows and lots, worked by hand."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from backtest_pipelines.engine.legs import strike_targets
from backtest_pipelines.engine.notices import KINDS, NoticeKind
from backtest_pipelines.engine.reentry import entries_and_exits
from backtest_pipelines.engine.windows import Windows, windows
from backtest_pipelines.executions.compute import compute
from backtest_pipelines.market.rules import charge_rates, lot_sizes
from backtest_pipelines.panel.ingest import ingest
from backtest_pipelines.panel.view import MarketView
from backtest_pipelines.strategies.question import Phase, ask
from backtest_pipelines_tests.comparison import ingested
from backtest_pipelines_tests.reference.chain import Chain

EPOCH = date(1970, 1, 1)


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> MarketView:
    """Weekdays of 2 to 23 September 2021 with expiries on the 2nd, 9th, 16th, 23rd and 30th."""
    return ingested(tmp_path_factory.mktemp("chain"), Chain().market()).symbol("NIFTY").view(None, None)


def days(*texts: str) -> np.ndarray:
    return np.array([(date.fromisoformat(text) - EPOCH).days for text in texts], np.int32)


@pytest.mark.parametrize(
    ("spot_inr", "percent", "strike_inr"),
    [
        (10791.65, 1, 10900),
        (10050, 0, 10000),  # an exact half goes to the even hundred below
        (10150, 0, 10200),  # and above
        (10000, 0.5, 10000),
        (10000, 1.5, 10200),
        (10050.05, 0, 10100),
        (10049.95, 0, 10000),
        (20000, -0.75, 19800),  # 19850: half, even below
        (20000, -0.25, 20000),  # 19950: half, even above
        (23456.75, -50, 11700),
        (23456.75, 50, 35200),
    ],
)
def test_the_target_strike_is_the_nearest_hundred(spot_inr: float, percent: float, strike_inr: int) -> None:
    found = strike_targets(np.array([round(spot_inr * 100)]), round(percent * 10_000))
    assert found.tolist() == [strike_inr * 100]


CLOSES = np.array([100_00, 101_00, 100_50, 99_00, 97_00, 98_94])


@pytest.mark.parametrize(
    ("adjustment", "percent", "expected"),
    [
        (0, 1, [(0, 5)]),
        (1, 1, [(0, 1), (1, 5)]),  # a rise of exactly 1 percent triggers
        (1, 1.0001, [(0, 5)]),
        (2, 1, [(0, 3), (3, 4), (4, 5)]),
        (3, 1, [(0, 1), (1, 3), (3, 4), (4, 5)]),  # the last trigger only closes
        (3, 2, [(0, 4), (4, 5)]),
        (3, 0, [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
        (1, 100, [(0, 5)]),
    ],
)
def test_a_move_closes_and_enters_again(adjustment: int, percent: float, expected: list[tuple[int, int]]) -> None:
    one = np.array([0]), np.array([5])
    window, entry, leave = entries_and_exits(CLOSES, *one, adjustment, round(percent * 10_000))
    assert list(zip(entry.tolist(), leave.tolist(), strict=True)) == expected
    assert set(window.tolist()) == {0}


def test_windows_of_different_length_are_walked_apart() -> None:
    start, end = np.array([0, 1, 3]), np.array([1, 4, 5])
    window, entry, leave = entries_and_exits(CLOSES, start, end, 3, 10_000)
    assert list(zip(window.tolist(), entry.tolist(), leave.tolist(), strict=True)) == [
        (0, 0, 1),
        (1, 1, 3),
        (1, 3, 4),
        (2, 3, 4),
        (2, 4, 5),
    ]


@pytest.mark.parametrize(
    ("symbol", "expiry", "is_monthly", "lot"),
    [
        ("NIFTY", "2021-06-24", True, 75),
        ("NIFTY", "2021-07-22", False, 75),
        ("NIFTY", "2021-07-29", True, 50),
        ("NIFTY", "2021-08-05", False, 50),
        ("NIFTY", "2024-04-25", True, 50),
        ("NIFTY", "2024-05-02", False, 25),
        ("NIFTY", "2024-12-26", True, 25),
        ("NIFTY", "2025-01-02", False, 75),
        ("NIFTY", "2025-01-30", True, 25),
        ("NIFTY", "2025-02-27", True, 75),
        ("NIFTY", "2026-01-06", False, 65),
        ("BANKNIFTY", "2018-10-25", True, 0),
        ("BANKNIFTY", "2020-07-23", False, 20),
        ("BANKNIFTY", "2023-07-20", False, 25),
        ("BANKNIFTY", "2023-07-27", True, 15),
        ("BANKNIFTY", "2025-01-30", True, 15),
        ("BANKNIFTY", "2025-07-31", True, 35),
        ("FINNIFTY", "2024-07-23", False, 40),
        ("FINNIFTY", "2024-07-30", True, 25),
        ("FINNIFTY", "2025-02-27", True, 65),
        ("FINNIFTY", "2026-01-27", True, 60),
    ],
)
def test_the_lot_follows_the_expiry(symbol: str, expiry: str, is_monthly: bool, lot: int) -> None:
    assert lot_sizes(symbol, days(expiry), is_monthly=np.array([is_monthly])).tolist() == [lot]


@pytest.mark.parametrize(
    ("item", "day", "percent"),
    [
        ("stt_option_sold", "2023-03-31", 0.05),
        ("stt_option_sold", "2023-04-01", 0.0625),
        ("stt_option_sold", "2024-10-01", 0.1),
        ("stt_option_sold", "2026-04-01", 0.15),
        ("stt_future_sold", "2024-09-30", 0.0125),
        ("exchange_fee_option", "2024-10-01", 0.03503),
        ("sebi_fee", "2020-05-31", 0.0001),
        ("sebi_fee", "2020-06-01", 0.00005),
        ("sebi_fee", "2021-04-01", 0.0001),
        ("stamp_duty_option_bought", "2020-06-30", 0),
        ("stamp_duty_option_bought", "2020-07-01", 0.003),
        ("gst_sebi_fee", "2022-07-17", 0),
        ("gst_sebi_fee", "2022-07-18", 18),
    ],
)
def test_charges_follow_the_trade_date(item: str, day: str, percent: float) -> None:
    assert charge_rates(item, days(day)).tolist() == [round(percent * 1_000_000)]


def test_kinds_that_prevent_a_trade_come_first() -> None:
    prevents = [kind.prevents_trade for kind in KINDS]
    assert prevents == sorted(prevents, reverse=True)
    assert not NoticeKind.STALE_CLOSE_AT_EXIT.prevents_trade
    assert all(kind.sentence.endswith(".") for kind in KINDS)


def spans(view: MarketView, found: Windows) -> list[tuple[int, int]]:
    """Return first and last day of September of each window."""
    first = EPOCH + timedelta(days=int(view.session[0])) - timedelta(days=2)
    return [
        (int(view.session[a]) - (first - EPOCH).days, int(view.session[b]) - (first - EPOCH).days)
        for a, b in zip(found.start, found.end, strict=True)
    ]


def phase(first: int, last: int) -> Phase:
    return Phase(date(2021, 9, first), date(2021, 9, last))


@pytest.mark.parametrize(
    ("before", "phases", "expected", "begins"),
    [
        (0, (), [(2, 9), (9, 16), (16, 23)], [False, False, False]),
        (1, (), [(8, 15), (15, 22)], [False, False]),  # the window before begins before the data
        (2, (), [(7, 14), (14, 21)], [False, False]),
        (0, (phase(1, 30),), [(2, 9), (9, 16), (16, 23)], [False, False, False]),  # it began before the data
        (0, (phase(2, 30),), [(2, 9), (9, 16), (16, 23)], [True, False, False]),
        (0, (phase(4, 17),), [(6, 9), (9, 16), (16, 17)], [True, False, False]),  # the 4th is a Saturday
        (0, (phase(3, 7), phase(10, 13)), [(3, 7), (10, 13)], [True, True]),
        (0, (phase(3, 6), phase(8, 14)), [(3, 6), (8, 9), (9, 14)], [True, True, False]),  # a gap divides a window
        (0, (phase(2, 10), phase(11, 30)), [(2, 9), (9, 16), (16, 23)], [True, False, False]),  # no session between
        (0, (phase(24, 30),), [], []),
    ],
)
def test_windows_are_cut_to_the_phases(
    view: MarketView, before: int, phases: tuple[Phase, ...], expected: list[tuple[int, int]], begins: list[bool]
) -> None:
    found = windows(view, before, phases)
    assert spans(view, found) == expected
    assert found.begins_phase.tolist() == begins
    assert len(found.notices.table()) == 0
    assert windows(view, before, phases) is found


def test_a_single_session_left_of_a_window_is_noticed(view: MarketView) -> None:
    table = windows(view, 0, (phase(9, 9), phase(14, 14))).notices.table()
    assert [KINDS[kind] for kind in table.kind] == [NoticeKind.WINDOW_TOO_SHORT] * 3
    assert table.day.tolist() == days("2021-09-09", "2021-09-09", "2021-09-14").tolist()


def test_a_mark_is_carried_over_a_session_without_a_row(tmp_path: Path) -> None:
    chain = Chain()
    chain.call(3, date(2021, 9, 9), 17000, close="90.00")
    chain.drop(6, "CE", date(2021, 9, 9), 17000)
    chain.call(7, date(2021, 9, 9), 17000, close="70.00")
    answer = compute(
        ingested(tmp_path, chain.market()).symbol("NIFTY").view(None, date(2021, 9, 9)),
        ask("call_sell_future_buy_weekly"),
        "0" * 64,
    )
    assert answer.equity.column("equity_points").to_pylist() == [17000, 17010, 17010, 17030, 17000, 17000]
    (notice,) = (row for row in answer.notices.to_pylist() if row["kind"] == "mark_carried")
    assert (notice["leg"], notice["date"], notice["strike"]) == ("call", date(2021, 9, 6), 17000)


def test_a_symbol_without_a_quote_has_notices_where_a_calendar_lists_its_expiries(tmp_path: Path) -> None:
    market = Chain().market()
    market.index_closes.extend([replace(close, symbol="FINNIFTY") for close in market.index_closes])
    store = ingested(tmp_path, market)
    calendar = tmp_path / "expiries.csv"
    calendar.write_text("symbol,expiry,type\nFINNIFTY,2021-09-09,weekly\nFINNIFTY,2021-09-16,monthly\n")
    ingest([], store, calendars=[calendar])
    view = store.symbol("FINNIFTY").view(None, None)
    answer = compute(view, ask("call_sell_future_buy_weekly", "FINNIFTY"), "0" * 64)
    assert answer.row_count == 0
    assert answer.notices.column("kind").to_pylist() == [
        "no_tradable_strike",
        "contract_missing_at_entry",
        "contract_missing_at_exit",
    ]
