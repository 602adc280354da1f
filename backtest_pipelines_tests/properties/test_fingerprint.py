"""Every input changes the identity of an answer; what must not matter does not."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtest_pipelines.panel.ingest import ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.results import fingerprint as identity
from backtest_pipelines.strategies.question import Question, ask
from backtest_pipelines_tests.reference.exchange_files import write_index_closes, write_legacy, write_udiff
from backtest_pipelines_tests.reference.market import IndexClose, Market, Quote

SESSIONS = [date(2025, 2, 3) + timedelta(days=n) for n in (0, 1, 2, 3, 4, 7, 8, 9, 10, 11)]
DATES = {"from_date": SESSIONS[1], "to_date": SESSIONS[-2]}
INSIDE, BEFORE, AFTER = SESSIONS[4], SESSIONS[0], SESSIONS[-1]
BASE: dict[str, Any] = {
    "variant": "call_sell_future_buy_weekly",
    "symbol": "NIFTY",
    "parameters": {"spot_adjustment_type": 1, "spot_adjustment": "1.5", "call_sell_position": "0.5"},
    "phases": [(SESSIONS[1], SESSIONS[3]), (SESSIONS[5], SESSIONS[8])],
    "exit_at_expiry": "close",
    "costs": True,
    "brokerage_inr_per_order": 20,
    **DATES,
}


def quote(session: date, symbol: str = "NIFTY", instrument: str = "CE", strike: int = 23000) -> Quote:
    is_future = instrument == "FUT"
    return Quote(
        session=session,
        symbol=symbol,
        instrument=instrument,
        expiry=date(2025, 2, 27),
        strike=Decimal(0 if is_future else strike),
        close=Decimal("23010.05" if is_future else "101.05"),
        contracts=7,
        turnover_inr=Decimal("1000000.00"),
        lot_size=75,
        underlying=Decimal("23000.10"),
    )


def market() -> Market:
    contracts = [("NIFTY", "CE", 23000), ("NIFTY", "CE", 23100), ("NIFTY", "FUT", 0), ("BANKNIFTY", "FUT", 0)]
    return Market([quote(day, *contract) for day in SESSIONS for contract in contracts], [])


def stored(folder: Path, of: Market, *, zipped: bool = False) -> PanelStore:
    folder.mkdir()
    store = PanelStore(folder / "panel")
    paths = [write_udiff(folder, of, day, zipped=zipped) for day in sorted({quote.session for quote in of.quotes})]
    paths += [write_index_closes(folder, of, day) for day in sorted({close.session for close in of.index_closes})]
    report = ingest(paths, store)
    assert not report.bad, report.bad
    return store


def key(store: PanelStore, question: Question) -> str:
    view = store.symbol(question.symbol).view(question.from_date, question.to_date)
    return identity.fingerprint(question, view.digest)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PanelStore:
    return stored(tmp_path_factory.mktemp("base") / "files", market())


CHANGES: list[dict[str, Any]] = [
    {"variant": "call_sell_future_buy_t1"},
    {"symbol": "BANKNIFTY"},
    {"parameters": {**BASE["parameters"], "spot_adjustment_type": 2}},
    {"parameters": {**BASE["parameters"], "spot_adjustment": "1.5001"}},
    {"parameters": {**BASE["parameters"], "call_sell_position": "-0.5"}},
    {"from_date": SESSIONS[2]},
    {"from_date": None},
    {"to_date": SESSIONS[-3]},
    {"to_date": None},
    {"phases": []},
    {"phases": [(SESSIONS[1], SESSIONS[2]), (SESSIONS[5], SESSIONS[8])]},
    {"exit_at_expiry": "intrinsic"},
    {"costs": False, "brokerage_inr_per_order": None},
    {"brokerage_inr_per_order": 21},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_every_part_of_the_question_changes_the_fingerprint(store: PanelStore, change: dict[str, Any]) -> None:
    assert key(store, ask(**{**BASE, **change})) != key(store, ask(**BASE))


SAME: list[dict[str, Any]] = [
    {"parameters": dict(reversed(list(BASE["parameters"].items())))},
    {"parameters": {"spot_adjustment_type": "1", "spot_adjustment": 1.5, "call_sell_position": Decimal("0.50")}},
    {"parameters": {**BASE["parameters"], "spot_adjustment_type": np.int64(1), "spot_adjustment": np.float64(1.5)}},
    {"phases": list(reversed(BASE["phases"]))},
    {"phases": [(str(start), str(end)) for start, end in BASE["phases"]]},
    {"from_date": str(DATES["from_date"]), "to_date": str(DATES["to_date"])},
    {"brokerage_inr_per_order": "20.00"},
    {"brokerage_inr_per_order": None},
]


@pytest.mark.parametrize("change", SAME, ids=str)
def test_another_way_to_ask_the_same_does_not(store: PanelStore, change: dict[str, Any]) -> None:
    assert key(store, ask(**{**BASE, **change})) == key(store, ask(**BASE))


@pytest.mark.parametrize("name", ["ENGINE_REVISION", "RESULT_SCHEMA"])
def test_a_revision_of_the_code_changes_it(store: PanelStore, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = key(store, ask(**BASE))
    monkeypatch.setattr(identity, name, getattr(identity, name) + 1)
    assert key(store, ask(**BASE)) != before


def test_a_revision_of_the_variant_changes_it(store: PanelStore) -> None:
    question = ask(**BASE)
    revised = replace(question, variant=replace(question.variant, revision=question.variant.revision + 1))
    assert key(store, revised) != key(store, question)


Change = Callable[[Quote], Quote]


def more(amount: Decimal | None, by: str) -> Decimal:
    assert amount is not None
    return amount + Decimal(by)


DATA_CHANGES: dict[str, Change] = {
    "close": lambda q: replace(q, close=q.close + Decimal("0.01")),
    "contracts": lambda q: replace(q, contracts=q.contracts + 1),
    "turnover": lambda q: replace(q, turnover_inr=more(q.turnover_inr, "0.01")),
    "lot size": lambda q: replace(q, lot_size=50),
    "strike": lambda q: replace(q, strike=q.strike + 50),
    "expiry": lambda q: replace(q, expiry=q.expiry + timedelta(days=7)),
    "underlying": lambda q: replace(q, underlying=more(q.underlying, "0.05")),
}


def changed(change: Change, session: date) -> Market:
    """Return the market with one call (for the underlying, a symbol's session) changed."""
    of_all = change is DATA_CHANGES["underlying"]
    return Market(
        [
            change(q)
            if q.session == session and q.symbol == "NIFTY" and (of_all or (q.instrument == "CE" and q.strike == 23000))
            else q
            for q in market().quotes
        ],
        [],
    )


@pytest.mark.parametrize("name", DATA_CHANGES)
def test_data_within_the_dates_changes_it(store: PanelStore, tmp_path: Path, name: str) -> None:
    other = stored(tmp_path / "other", changed(DATA_CHANGES[name], INSIDE))
    assert key(other, ask(**BASE)) != key(store, ask(**BASE))


@pytest.mark.parametrize("session", [BEFORE, AFTER])
def test_data_outside_the_dates_does_not(store: PanelStore, tmp_path: Path, session: date) -> None:
    corrected = stored(tmp_path / "corrected", changed(DATA_CHANGES["close"], session))
    absent = stored(tmp_path / "absent", Market([q for q in market().quotes if q.session != session], []))
    assert key(store, ask(**BASE)) == key(corrected, ask(**BASE)) == key(absent, ask(**BASE))


def test_a_session_within_the_dates_that_is_added_changes_it(store: PanelStore, tmp_path: Path) -> None:
    fewer = stored(tmp_path / "fewer", Market([q for q in market().quotes if q.session != INSIDE], []))
    assert key(fewer, ask(**BASE)) != key(store, ask(**BASE))


def test_another_symbol_does_not(store: PanelStore, tmp_path: Path) -> None:
    other = stored(
        tmp_path / "other",
        Market([replace(q, close=Decimal(50000)) if q.symbol == "BANKNIFTY" else q for q in market().quotes], []),
    )
    assert key(other, ask(**BASE)) == key(store, ask(**BASE))


def test_an_index_close_within_the_dates_changes_it_and_one_outside_does_not(tmp_path: Path) -> None:
    def with_close(name: str, session: date, close: str) -> str:
        closes = [IndexClose(day, "NIFTY", Decimal("23000.10")) for day in SESSIONS if day != session]
        closes.append(IndexClose(session, "NIFTY", Decimal(close)))
        folder = tmp_path / name
        folder.mkdir()
        part = Market(market().quotes, closes)
        paths = [write_legacy(folder, part, day) for day in SESSIONS]
        paths += [write_index_closes(folder, part, day) for day in SESSIONS]
        legacy = PanelStore(folder / "panel")
        assert not ingest(paths, legacy).bad
        return key(legacy, ask(**BASE))

    same = with_close("same", INSIDE, "23000.10")
    assert with_close("inside", INSIDE, "23000.15") != same
    assert with_close("outside", AFTER, "23000.15") == same


def test_the_way_of_ingest_does_not(store: PanelStore, tmp_path: Path) -> None:
    zipped = stored(tmp_path / "zipped", market(), zipped=True)
    one_by_one = PanelStore(tmp_path / "panel")
    folder = tmp_path / "files"
    folder.mkdir()
    for day in reversed(SESSIONS):
        assert not ingest([write_udiff(folder, market(), day)], one_by_one).bad
    assert key(store, ask(**BASE)) == key(zipped, ask(**BASE)) == key(one_by_one, ask(**BASE))
