"""New tables of a symbol from its old ones and the sessions that changed. Pure: no file is touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from backtest_pipelines.panel.chains import chain_table
from backtest_pipelines.panel.keys import (
    FUTURE,
    INSTRUMENT_SHIFT,
    Int32Array,
    Int64Array,
    contract_keys,
    expiries_of,
    instruments_of,
    strikes_of,
)
from backtest_pipelines.panel.quotes import Quotes
from backtest_pipelines.panel.redating import redated_expiries
from backtest_pipelines.panel.symbol_tables import (
    MISSING_PAISE,
    QUOTE_COLUMNS,
    FutureTable,
    QuoteTable,
    Ragged,
    SessionTable,
    SymbolTables,
    session_digest,
)


@dataclass(frozen=True, slots=True)
class BhavcopyUpdate:
    """What a bhavcopy says of one symbol; quotes is None where it has no row of it."""

    quotes: Quotes | None
    underlying_paise: int


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """New content of one session; a part that is None stays as it is."""

    bhavcopy: BhavcopyUpdate | None = None
    index_close_paise: int | None = None


@dataclass(frozen=True, slots=True)
class _Session:
    day: int
    has_bhavcopy: bool
    underlying_paise: int
    index_close_paise: int
    quotes: QuoteTable
    option_expiries: Int32Array
    future_expiries: Int32Array
    digest: bytes


def rebuild(old: SymbolTables | None, updates: Mapping[int, SessionUpdate]) -> SymbolTables:
    """Return the tables with the sessions of ``updates`` (days since 1970-01-01) put in or replaced."""
    kept = {} if old is None else {int(day): position for position, day in enumerate(old.sessions.session)}
    sessions = []
    for day in sorted(kept.keys() | updates.keys()):
        before = _kept_session(old, kept[day]) if old is not None and day in kept else _empty_session(day)
        sessions.append(_updated(before, updates[day]) if day in updates else before)
    quotes = _concatenated([session.quotes for session in sessions])
    row_start = np.zeros(len(sessions) + 1, np.int64)
    np.cumsum([len(session.quotes.key) for session in sessions], out=row_start[1:])
    redated = _redated(sessions)
    future = np.flatnonzero(instruments_of(quotes.key) == FUTURE).astype(np.int32)
    return SymbolTables(
        quotes,
        FutureTable(quotes.key[future], future),
        chain_table(quotes.key, quotes.contracts),
        SessionTable(
            session=np.array([session.day for session in sessions], np.int32),
            has_bhavcopy=np.array([session.has_bhavcopy for session in sessions], bool),
            row_start=row_start,
            underlying_paise=np.array([session.underlying_paise for session in sessions], np.int64),
            index_close_paise=np.array([session.index_close_paise for session in sessions], np.int64),
            digest=np.frombuffer(b"".join(session.digest for session in sessions), np.uint8).reshape(-1, 32),
            option_expiries=Ragged.of([session.option_expiries for session in sessions]),
            future_expiries=Ragged.of([session.future_expiries for session in sessions]),
            redated_from=Ragged.of([[old for old, _ in moves] for moves in redated]),
            redated_to=Ragged.of([[new for _, new in moves] for moves in redated]),
        ),
    )


def quote_table(session: int, quotes: Quotes | None) -> QuoteTable:
    """Return a session's quotes in the types of the store."""
    if quotes is None:
        return QuoteTable(*(np.zeros(0, kind) for kind in QUOTE_COLUMNS.values()))
    instrument = quotes.instrument.astype(np.int64)
    return QuoteTable(
        key=contract_keys(session, instrument, quotes.expiry.astype(np.int64), quotes.strike_paise),
        close_paise=quotes.close_paise.astype(np.int32),
        contracts=quotes.contracts.astype(np.int32),
        open_interest=quotes.open_interest.astype(np.int32),
        turnover_paise=quotes.turnover_paise.astype(np.int64),
        lot_size=quotes.lot_size.astype(np.int32),
    )


def _empty_session(day: int) -> _Session:
    none = np.zeros(0, np.int32)
    return _Session(day, False, MISSING_PAISE, MISSING_PAISE, quote_table(day, None), none, none, b"")


def _kept_session(old: SymbolTables, position: int) -> _Session:
    table = old.sessions
    return _Session(
        day=int(table.session[position]),
        has_bhavcopy=bool(table.has_bhavcopy[position]),
        underlying_paise=int(table.underlying_paise[position]),
        index_close_paise=int(table.index_close_paise[position]),
        quotes=old.quotes.cut(int(table.row_start[position]), int(table.row_start[position + 1])),
        option_expiries=table.option_expiries.at(position),
        future_expiries=table.future_expiries.at(position),
        digest=table.digest[position].tobytes(),
    )


def _updated(before: _Session, update: SessionUpdate) -> _Session:
    has_bhavcopy, underlying = before.has_bhavcopy, before.underlying_paise
    quotes, options, futures = before.quotes, before.option_expiries, before.future_expiries
    if update.bhavcopy is not None:
        has_bhavcopy, underlying = True, update.bhavcopy.underlying_paise
        quotes = quote_table(before.day, update.bhavcopy.quotes)
        is_future = instruments_of(quotes.key) == FUTURE
        expiries = expiries_of(quotes.key).astype(np.int32)
        options, futures = np.unique(expiries[~is_future]), np.unique(expiries[is_future])
    index_close = before.index_close_paise if update.index_close_paise is None else update.index_close_paise
    digest = session_digest(
        before.day,
        has_bhavcopy=has_bhavcopy,
        underlying_paise=underlying,
        index_close_paise=index_close,
        quotes=quotes,
    )
    return _Session(before.day, has_bhavcopy, underlying, index_close, quotes, options, futures, digest)


def _concatenated(parts: list[QuoteTable]) -> QuoteTable:
    columns = zip(*(part.columns() for part in parts), strict=True)
    return QuoteTable(*(np.concatenate(column) for column in columns))


def _redated(sessions: list[_Session]) -> list[list[tuple[int, int]]]:
    moves: list[list[tuple[int, int]]] = [[] for _ in sessions]
    before: _Session | None = None
    for position, session in enumerate(sessions):
        if not session.has_bhavcopy:
            continue
        if before is not None:
            moves[position] = redated_expiries(
                session.day,
                _listed(before),
                _listed(session),
                partial(_contracts, before),
                partial(_contracts, session),
            )
        before = session
    return moves


def _listed(session: _Session) -> list[int]:
    return sorted({*session.option_expiries.tolist(), *session.future_expiries.tolist()})


def _contracts(session: _Session, expiry: int) -> Int64Array:
    key = session.quotes.key
    key = key[expiries_of(key) == expiry]
    return (instruments_of(key) << INSTRUMENT_SHIFT) | strikes_of(key)
