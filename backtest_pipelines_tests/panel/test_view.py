"""A view holds what lies within its dates, finds contracts through every change of date, and knows the calendar."""

import random
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from backtest_pipelines.market.units import date_of, day_number
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.keys import CALL, FUTURE, PUT
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.panel.view import MarketView
from backtest_pipelines_tests.comparison import ingested
from backtest_pipelines_tests.reference.chain import NOV_25, OCT_28, SEP_30, Chain, sep
from backtest_pipelines_tests.reference.exchange_files import write_index_closes, write_legacy, write_udiff
from backtest_pipelines_tests.reference.market import IndexClose, Market
from backtest_pipelines_tests.reference.random_market import random_market
from backtest_pipelines_tests.reference.view import View

INSTRUMENTS = {"FUT": FUTURE, "CE": CALL, "PE": PUT}
WEEKLIES = [sep(2), sep(9), sep(16), sep(23), SEP_30]


def view_of(store: PanelStore, from_date: date | None = None, to_date: date | None = None) -> MarketView:
    return store.symbol("NIFTY").view(from_date, to_date)


def dates(days: npt.NDArray[np.int32]) -> list[date]:
    return [date_of(day) for day in days]


def session_days(*days: date) -> npt.NDArray[np.int32]:
    return np.array([day_number(day) for day in days], np.int32)


def close_inr(view: MarketView, session: date, instrument: str, expiry: date, strike: int = 0) -> Decimal | None:
    """Return the close of a contract, None where the view finds no row."""
    paise = np.array([strike * 100], np.int64)
    (row,) = view.rows(INSTRUMENTS[instrument], session_days(session), session_days(expiry), paise)
    return None if row == -1 else Decimal(int(view.quotes.close_paise[row])) / 100


def nearest_inr(view: MarketView, session: date, expiry: date, target: int, *, above: bool) -> int | None:
    """Return the nearest tradable strike of a call, None where there is none."""
    days = session_days(session), session_days(expiry)
    rows = view.nearest_strikes(CALL, *days, np.array([target * 100], np.int64), above=above)
    return None if rows[0] == -1 else int(view.strike_paise(rows)[0]) // 100


def with_calendar(store: PanelStore, path: Path, text: str) -> PanelStore:
    path.write_text(text)
    ingest([], store, calendars=[path])
    return store


# Dates


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> PanelStore:
    """Hold the small market, whose weekly of the 30th is listed from the 13th on."""
    chain = Chain({10: "17100.05"})
    chain.rows = {key: quote for key, quote in chain.rows.items() if key[2] != SEP_30 or key[0] >= sep(13)}
    return ingested(tmp_path_factory.mktemp("whole"), chain.market())


def test_sessions_and_closes_are_those_within_the_dates(whole: PanelStore) -> None:
    view = view_of(whole, sep(4), sep(10))
    assert dates(view.session) == [sep(6), sep(7), sep(8), sep(9), sep(10)]
    assert view.index_close_paise.tolist() == [1_700_000] * 4 + [1_710_005]
    assert view_of(whole, sep(6), sep(10)).digest == view.digest
    assert (date_of(view.starts_at), date_of(view_of(whole).starts_at)) == (sep(4), sep(2))


def test_expiries_are_those_that_the_rows_within_the_dates_list(whole: PanelStore) -> None:
    assert dates(view_of(whole).expiries) == WEEKLIES
    assert dates(view_of(whole).monthly_expiries) == [SEP_30, OCT_28, NOV_25]
    assert dates(view_of(whole, None, sep(10)).expiries) == WEEKLIES[:-1]
    assert dates(view_of(whole, sep(3), sep(10)).expiries) == WEEKLIES[1:-1]
    assert dates(view_of(whole, sep(17), None).expiries) == [sep(23), SEP_30]


def test_an_expiry_after_the_last_date_is_one_to_come(whole: PanelStore) -> None:
    view = view_of(whole, None, sep(10))
    assert view.expiries.max() > view.session.max()
    assert dates(view.expiries[view.expiries > view.session[-1]]) == [sep(16), sep(23)]


def test_one_session_is_a_view(whole: PanelStore) -> None:
    view = view_of(whole, sep(10), sep(10))
    assert dates(view.session) == [sep(10)]
    assert close_inr(view, sep(10), "FUT", OCT_28) == Decimal(17050)


@pytest.mark.parametrize("seed", range(20, 26))
def test_a_view_equals_that_of_a_panel_that_holds_nothing_else(seed: int, tmp_path: Path) -> None:
    market = random_market(seed)
    sessions = market.sessions()
    low, high = sorted(random.Random(seed).sample(range(len(sessions)), 2))
    first, last = sessions[low], sessions[high]
    inside = Market(
        [quote for quote in market.quotes if first <= quote.session <= last],
        [close for close in market.index_closes if first <= close.session <= last],
    )
    (tmp_path / "cut").mkdir()
    whole, cut = ingested(tmp_path, market), ingested(tmp_path / "cut", inside)
    for symbol in inside.symbols():
        ours, theirs = whole.symbol(symbol).view(first, last), cut.symbol(symbol).view(None, None)
        for name in ("session", "index_close_paise", "expiries", "monthly_expiries"):
            assert getattr(ours, name).tolist() == getattr(theirs, name).tolist(), name
        assert (ours.digest, ours.redatings, ours.scheduled) == (theirs.digest, theirs.redatings, theirs.scheduled)


@pytest.mark.parametrize("seed", range(30, 38))
def test_a_view_finds_what_the_reference_finds(seed: int, tmp_path: Path) -> None:
    market = random_market(seed)
    store = ingested(tmp_path, market)
    rng = random.Random(seed)
    for symbol in market.symbols():
        for _ in range(3):
            from_date, to_date = sorted(rng.sample(market.sessions(), 2))
            reference, view = View(market, symbol, from_date, to_date), store.symbol(symbol).view(from_date, to_date)
            assert dates(view.session) == reference.sessions
            assert dates(view.expiries) == reference.option_expiries
            assert dates(view.monthly_expiries) == reference.monthly_expiries
            closes = [reference.index_close.get(session, Decimal("-0.01")) for session in reference.sessions]
            assert [Decimal(int(close)) / 100 for close in view.index_close_paise] == closes
            moves = [(date_of(move.session), date_of(move.old), date_of(move.new)) for move in view.redatings]
            assert moves == [(move.session, move.before, move.after) for move in reference.redatings]
            for session in rng.sample(reference.sessions, min(4, len(reference.sessions))):
                listed = sorted({quote.strike for quote in reference.rows[session] if quote.strike % 100 == 0})
                for expiry in {*reference.option_expiries, *reference.monthly_expiries}:
                    for instrument in INSTRUMENTS:
                        contracts = reference.contracts(session, instrument, expiry)
                        expected = {quote.strike: quote.close for quote in contracts}
                        for strike in [Decimal(0)] if instrument == "FUT" else rng.sample(listed, min(6, len(listed))):
                            found = close_inr(view, session, instrument, expiry, int(strike))
                            assert found == expected.get(strike), (session, instrument, expiry, strike)


# Digest


def test_the_digest_changes_with_sessions_within_the_dates_and_with_no_others(tmp_path: Path) -> None:
    store = ingested(tmp_path, Chain().market())
    spans = [(None, sep(9)), (sep(2), sep(9)), (sep(13), None), (sep(10), sep(10)), (None, None), (sep(9), sep(13))]
    before = [view_of(store, *span).digest for span in spans]
    assert before[0] == before[1]
    assert len(set(before)) == len(spans) - 1
    chain = Chain()
    chain.call(10, sep(16), 17000, contracts=11)
    ingest([write_legacy(tmp_path, chain.market(), sep(10))], store)
    quotes_changed = [view_of(store, *span).digest for span in spans]
    is_same = [True, True, True, False, False, False]
    assert [one == other for one, other in zip(before, quotes_changed, strict=True)] == is_same
    ingest([write_index_closes(tmp_path, Chain({10: "17000.05"}).market(), sep(10))], store)
    closes_changed = [view_of(store, *span).digest for span in spans]
    assert [one == other for one, other in zip(quotes_changed, closes_changed, strict=True)] == is_same


def test_the_digest_changes_with_the_calendar_within_the_dates_only(tmp_path: Path) -> None:
    store = ingested(tmp_path, Chain().market())
    inside, outside = (sep(2), sep(14)), (sep(16), sep(23))
    before = [view_of(store, *span).digest for span in (inside, outside)]
    with_calendar(store, tmp_path / "sessions.csv", "date\n2021-09-11\n")
    sessions = [view_of(store, *span).digest for span in (inside, outside)]
    assert (sessions[0] == before[0], sessions[1] == before[1]) == (False, True)
    with_calendar(store, tmp_path / "expiries.csv", "symbol,expiry,type\nNIFTY,2021-09-22,weekly\n")
    expiries = [view_of(store, *span).digest for span in (inside, outside)]
    assert (expiries[0] == sessions[0], expiries[1] == sessions[1]) == (True, False)


# Index closes


def test_the_index_close_of_the_bhavcopy_goes_before_that_of_the_file(tmp_path: Path) -> None:
    market = Chain({2: "17002", 3: "17003", 6: "17006"}).market()
    told = Market([replace(quote, underlying=Decimal("17111.15")) for quote in market.quotes], market.index_closes)
    untold = Market(market.quotes, [])
    store = PanelStore(tmp_path / "panel")
    for path in (
        write_udiff(tmp_path, told, sep(2)),
        write_index_closes(tmp_path, market, sep(2)),
        write_legacy(tmp_path, untold, sep(3)),
        write_index_closes(tmp_path, market, sep(3)),
        write_udiff(tmp_path, untold, sep(6)),
        write_index_closes(tmp_path, market, sep(6)),
        write_udiff(tmp_path, told, sep(7)),
        write_legacy(tmp_path, untold, sep(8)),
    ):
        ingest([path], store)
    assert view_of(store).index_close_paise.tolist() == [1_711_115, 1_700_300, 1_700_600, 1_711_115, -1]


def test_a_date_with_an_index_close_alone_is_no_session(tmp_path: Path) -> None:
    chain = Chain()
    chain.drop_session(7)
    store = ingested(tmp_path, chain.market())
    assert sep(7) not in dates(view_of(store).session)
    assert view_of(store).session.size == view_of(store).index_close_paise.size


# Re-dated contracts


@pytest.fixture
def redated() -> Chain:
    """Return a market whose contracts of the 16th are told apart by price, 100 INR plus the day of the session."""
    chain = Chain()
    for day in (2, 3, 6, 7, 8, 9, 10, 13, 14, 15, 16):
        chain.call(day, sep(16), 17000, close=f"{100 + day}")
    return chain


def test_a_re_dated_contract_is_found_before_and_after(tmp_path: Path, redated: Chain) -> None:
    redated.redate(sep(16), sep(15), sep(8))
    view = view_of(ingested(tmp_path, redated.market()))
    assert [(date_of(m.session), date_of(m.old), date_of(m.new)) for m in view.redatings] == [
        (sep(8), sep(16), sep(15))
    ]
    assert dates(view.expiries) == [sep(2), sep(9), sep(15), sep(23), SEP_30]
    for day in (2, 7, 8, 15):
        assert close_inr(view, sep(day), "CE", sep(15), 17000) == 100 + day
        assert nearest_inr(view, sep(day), sep(15), 17000, above=True) == 17000
    assert close_inr(view, sep(16), "CE", sep(15), 17000) is None


def test_changes_of_date_are_followed_one_after_the_other(tmp_path: Path, redated: Chain) -> None:
    redated.redate(sep(16), sep(15), sep(6))
    redated.redate(sep(15), sep(17), sep(8))
    redated.redate(sep(17), sep(16), sep(10))
    view = view_of(ingested(tmp_path, redated.market()))
    assert len(view.redatings) == 3
    assert dates(view.expiries) == WEEKLIES
    for day in (2, 3, 6, 7, 8, 9, 10, 13, 15):
        assert close_inr(view, sep(day), "CE", sep(16), 17000) == 100 + day


def test_a_change_of_date_outside_the_dates_is_not_known(tmp_path: Path, redated: Chain) -> None:
    redated.redate(sep(16), sep(15), sep(8))
    store = ingested(tmp_path, redated.market())
    before, after = view_of(store, None, sep(7)), view_of(store, sep(8), None)
    assert before.redatings == after.redatings == ()
    assert sep(16) in dates(before.expiries)
    assert sep(15) not in dates(before.expiries)
    assert close_inr(before, sep(7), "CE", sep(16), 17000) == 107
    assert sep(15) in dates(after.expiries)
    assert sep(16) not in dates(after.expiries)


def test_a_future_is_found_under_the_date_of_its_session(tmp_path: Path) -> None:
    chain = Chain()
    chain.future(7, SEP_30, close="17007.00")
    chain.future(8, SEP_30, close="17008.00")
    chain.redate(SEP_30, sep(29), sep(8))
    view = view_of(ingested(tmp_path, chain.market()))
    assert dates(view.monthly_expiries) == [sep(29), OCT_28, NOV_25]
    assert close_inr(view, sep(7), "FUT", sep(29)) == 17007
    assert close_inr(view, sep(8), "FUT", sep(29)) == 17008


@pytest.mark.parametrize(("shared", "is_redated"), [(9, False), (10, True)])
def test_half_of_the_contracts_must_stand_again(tmp_path: Path, shared: int, *, is_redated: bool) -> None:
    chain = Chain()
    for day in (2, 3, 6, 7):
        chain.drop(day, "CE", sep(16), 17500)
    chain.redate(sep(16), sep(15), sep(8))
    for day in (8, 9, 10, 13, 14, 15):
        for strike in range(16500, 17501, 50)[shared:]:  # of the first 20, which stood before
            chain.drop(day, "CE", sep(15), strike)
    assert bool(view_of(ingested(tmp_path, chain.market())).redatings) is is_redated


@pytest.mark.parametrize(("days", "is_redated"), [(6, True), (7, False)])
def test_a_date_a_week_off_is_another_contract(tmp_path: Path, days: int, *, is_redated: bool) -> None:
    chain = Chain()
    for expiry in (sep(9), sep(23)):
        for session, instrument, listed, strike in list(chain.rows):
            if listed == expiry:
                del chain.rows[session, instrument, listed, strike]
    chain.redate(sep(16), sep(16) + timedelta(days=days), sep(8))
    assert bool(view_of(ingested(tmp_path, chain.market())).redatings) is is_redated


# Calendars


def test_a_calendar_adds_sessions_without_a_bhavcopy_between_the_first_and_the_last(tmp_path: Path) -> None:
    chain = Chain({7: "17007.00"})
    chain.drop_session(7)
    store = with_calendar(
        ingested(tmp_path, chain.market()),
        tmp_path / "sessions.csv",
        "date\n2021-09-01\n2021-09-02\n2021-09-07\n2021-09-11\n2021-09-24\n",
    )
    view = view_of(store)
    added = {*dates(view.session)} - {*chain.market().sessions()}
    assert added == {sep(7), sep(11)}
    assert dates(view.session) == sorted(dates(view.session))
    closes = dict(zip(dates(view.session), view.index_close_paise.tolist(), strict=True))
    assert (closes[sep(7)], closes[sep(11)]) == (1_700_700, -1)
    assert close_inr(view, sep(7), "CE", sep(9), 17000) is None
    assert dates(view_of(store, sep(7), sep(9)).session) == [sep(8), sep(9)]  # the first bhavcopy is that of the 8th


def test_a_calendar_adds_expiries_within_the_dates(tmp_path: Path) -> None:
    chain = Chain()
    for session, instrument, listed, strike in list(chain.rows):
        if listed == sep(9):
            del chain.rows[session, instrument, listed, strike]
    store = ingested(tmp_path, chain.market())
    assert sep(9) not in dates(view_of(store).expiries)
    text = "symbol,expiry,type\nNIFTY,2021-09-09,weekly\nNIFTY,2021-09-14,monthly\nBANKNIFTY,2021-09-15,weekly\n"
    with_calendar(store, tmp_path / "expiries.csv", text + "NIFTY,2021-09-24,weekly\n")
    view = view_of(store)
    assert dates(view.expiries) == [sep(2), sep(9), sep(14), sep(16), sep(23), SEP_30]
    assert dates(view.monthly_expiries) == [sep(14), SEP_30, OCT_28, NOV_25]
    assert dates(view_of(store, None, sep(24)).expiries)[-2:] == [sep(24), SEP_30]
    assert sep(9) not in dates(view_of(store, sep(10), None).expiries)


def test_a_contract_listed_under_its_scheduled_date_is_found_under_the_real_one(tmp_path: Path, redated: Chain) -> None:
    redated.drop(8, "CE", sep(16), 17100)
    redated.call(8, sep(16), 17200, contracts=0)
    for expiry, close in ((sep(16), "17016.00"), (sep(15), "17015.00")):
        redated.add(sep(8), "FUT", expiry, 0, close)
    store = with_calendar(
        ingested(tmp_path, redated.market()),
        tmp_path / "expiries.csv",
        "symbol,expiry,type,scheduled\nNIFTY,2021-09-15,weekly,2021-09-16\n",
    )
    view = view_of(store)
    assert dates(view.expiries) == [sep(2), sep(9), sep(15), sep(23), SEP_30]
    assert close_inr(view, sep(8), "CE", sep(15), 17000) == 108
    assert close_inr(view, sep(8), "CE", sep(15), 17100) is None
    assert nearest_inr(view, sep(8), sep(15), 17100, above=True) == 17300
    assert nearest_inr(view, sep(8), sep(15), 17200, above=False) == 17000
    assert close_inr(view, sep(8), "FUT", sep(15)) == 17015  # the real date goes before the scheduled one
    assert close_inr(view, sep(8), "CE", sep(9), 17000) == 100


def test_a_calendar_of_another_symbol_changes_nothing(tmp_path: Path) -> None:
    store = ingested(tmp_path, Chain().market())
    before = view_of(store).digest
    text = "symbol,expiry,type,scheduled\nBANKNIFTY,2021-09-15,weekly,2021-09-16\n"
    view = view_of(with_calendar(store, tmp_path / "expiries.csv", text))
    assert (view.digest, view.scheduled, dates(view.expiries)) == (before, {}, WEEKLIES)


def test_a_calendar_stays_until_another_of_its_kind_replaces_it(tmp_path: Path) -> None:
    store = with_calendar(ingested(tmp_path, Chain().market()), tmp_path / "one.csv", "date\n2021-09-11\n")
    ingest(exchange_files(tmp_path / "files"), store)
    assert sep(11) in dates(view_of(store).session)
    with_calendar(store, tmp_path / "other.csv", "date\n2021-09-12\n")
    assert {sep(11), sep(12)} & {*dates(view_of(store).session)} == {sep(12)}


# Symbols


def test_a_symbol_s_view_holds_its_own_rows_only(tmp_path: Path) -> None:
    market = Chain().market()
    banks = [replace(quote, symbol="BANKNIFTY", close=quote.close + 1) for quote in market.quotes]
    closes = [IndexClose(close.session, "BANKNIFTY", close.close + 1) for close in market.index_closes]
    store = ingested(tmp_path, Market(market.quotes + banks, market.index_closes + closes))
    nifty, bank = (store.symbol(symbol).view(None, None) for symbol in ("NIFTY", "BANKNIFTY"))
    assert close_inr(nifty, sep(8), "CE", sep(16), 17000) == 100
    assert close_inr(bank, sep(8), "CE", sep(16), 17000) == 101
    assert set(bank.index_close_paise.tolist()) == {1_700_100}
    assert nifty.digest != bank.digest
