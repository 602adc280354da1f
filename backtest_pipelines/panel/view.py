"""The market of one symbol cut to a span of dates: what the engine computes from.

Nothing outside the span can matter: sessions, expiries and re-datings are those of the rows within it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from backtest_pipelines.errors import MissingDataError
from backtest_pipelines.market.units import day_number
from backtest_pipelines.panel.calendar import Calendar, CalendarExpiry
from backtest_pipelines.panel.chains import ChainTable
from backtest_pipelines.panel.keys import (
    FUTURE,
    Int32Array,
    Int64Array,
    contract_keys,
    strikes_of,
)
from backtest_pipelines.panel.symbol_tables import (
    MISSING_PAISE,
    FutureTable,
    QuoteTable,
    SessionTable,
    SymbolTables,
)

IntegerT = TypeVar("IntegerT", np.int32, np.int64)


@dataclass(frozen=True, slots=True)
class Redating:
    """An expiry date changed with effect from a session; all in days since 1970-01-01."""

    session: int
    old: int
    new: int


@dataclass(frozen=True, slots=True, eq=False)
class MarketView:
    """One symbol within a span of dates; n sessions.

    Attributes
    ----------
    symbol : str
    session : int32[n]
        Days since 1970-01-01, ascending.
    index_close_paise : int64[n]
        The bhavcopy's underlying price, else the index-close file's; -1 where neither has one.
    expiries : int32[k]
        Every expiry of an option, as finally dated within the span, ascending. Some may lie beyond it.
    monthly_expiries : int32[j]
        The same of the futures.
    starts_at : int
        First day of the span that the caller asked for, or the first session.
    quotes, futures, chains
        The symbol's whole tables; rows are found by key, so only sessions of the view are reached.
    redatings : tuple of Redating
        Within the span, in order of time.
    scheduled : dict of int to int
        Final expiry -> another date under which the calendar says that it was listed.
    digest : str
        SHA-256, in hex, of all data within the span.
    """

    symbol: str
    session: Int32Array
    index_close_paise: Int64Array
    expiries: Int32Array
    monthly_expiries: Int32Array
    starts_at: int
    quotes: QuoteTable
    futures: FutureTable
    chains: ChainTable
    redatings: tuple[Redating, ...]
    scheduled: dict[int, int]
    digest: str
    plans: dict[object, object] = field(default_factory=dict)
    """Windows of this view by timing rule and phases, kept by the engine."""

    def rows(self, instrument: int, session: Int32Array, expiry: Int32Array, strike_paise: Int64Array) -> Int64Array:
        """Return the row of each contract in the quote table, -1 where it has none.

        Parameters
        ----------
        instrument : {0, 1, 2}
            Future, call, put.
        session : int32[m]
            Days since 1970-01-01.
        expiry : int32[m]
            Final expiries.
        strike_paise : int64[m]
            On the hundred INR for options, 0 for futures.
        """
        found = self._exact_rows(instrument, session, self._listed(expiry, session), strike_paise)
        for again, other in self._scheduled_again(found, expiry):
            found[again] = self._exact_rows(instrument, session[again], other, strike_paise[again])
        return found

    def nearest_strikes(
        self,
        instrument: int,
        session: Int32Array,
        expiry: Int32Array,
        target_paise: Int64Array,
        *,
        above: bool,
    ) -> Int64Array:
        """Return the row of the tradable contract on the hundred nearest to a target, -1 where there is none.

        Parameters
        ----------
        above : bool
            The lowest strike at or above the target; otherwise the highest at or below it.
        """
        key = contract_keys(session, instrument, self._listed(expiry, session), target_paise)
        found = self.chains.nearest_traded(key, above=above)
        for again, other in self._scheduled_again(found, expiry):
            key = contract_keys(session[again], instrument, other, target_paise[again])
            found[again] = self.chains.nearest_traded(key, above=above)
        return found

    def _listed(self, expiry: Int32Array, session: Int32Array) -> Int32Array:
        """Return the date under which a finally dated expiry was listed on a session."""
        for move in reversed(self.redatings):
            is_moved = expiry == move.new
            if is_moved.any():
                expiry = np.where(is_moved & (session < move.session), np.int32(move.old), expiry)
        return expiry

    def _scheduled_again(self, found: Int64Array, expiry: Int32Array) -> list[tuple[Int64Array, Int32Array]]:
        if not self.scheduled:
            return []
        again = np.flatnonzero((found < 0) & np.isin(expiry, list(self.scheduled)))
        other = np.array([self.scheduled[int(day)] for day in expiry[again]], np.int32)
        return [(again, other)] if again.size else []

    def _exact_rows(
        self, instrument: int, session: Int32Array, expiry: Int32Array, strike_paise: Int64Array
    ) -> Int64Array:
        key = contract_keys(session, instrument, expiry, strike_paise)
        return self.futures.rows(key) if instrument == FUTURE else self.chains.rows(key)

    def strike_paise(self, row: Int64Array) -> Int64Array:
        """Return the strikes of rows of the quote table; of row -1 any number."""
        return strikes_of(_at(self.quotes.key, row))

    def close_paise(self, row: Int64Array) -> Int64Array:
        """Return the closes of rows of the quote table; of row -1 any number."""
        return _at(self.quotes.close_paise, row).astype(np.int64)


def _at(column: npt.NDArray[IntegerT], row: Int64Array) -> npt.NDArray[IntegerT]:
    # A symbol may have sessions, and expiries of a calendar, without a single quote.
    return column[row] if column.size else np.zeros(row.shape, column.dtype)


def market_view(
    symbol: str, tables: SymbolTables, calendar: Calendar, from_date: date | None, to_date: date | None
) -> MarketView:
    """Cut a symbol's tables to the dates, both included; None leaves that side open.

    Raises
    ------
    MissingDataError
        If no session with a bhavcopy lies within them.
    """
    table = tables.sessions
    low = 0 if from_date is None else int(np.searchsorted(table.session, day_number(from_date)))
    high = len(table.session) if to_date is None else int(np.searchsorted(table.session, day_number(to_date), "right"))
    with_bhavcopy = low + np.flatnonzero(table.has_bhavcopy[low:high])
    if with_bhavcopy.size == 0:
        raise MissingDataError(_no_session(symbol, table, from_date, to_date))
    first, last = int(table.session[with_bhavcopy[0]]), int(table.session[with_bhavcopy[-1]])
    days = table.session[with_bhavcopy]
    dated = tuple(day for day in calendar.sessions if first <= day <= last)
    session = np.union1d(days, np.array(dated, np.int32)) if dated else days
    span = (day_number(from_date) if from_date else first, day_number(to_date) if to_date else last)
    entries = tuple(entry for entry in calendar.of(symbol) if span[0] <= entry.expiry <= span[1])
    redatings = _redatings(table, with_bhavcopy)
    monthly = tuple(entry for entry in entries if entry.is_monthly)
    scheduled = {entry.expiry: entry.scheduled for entry in entries if entry.scheduled != entry.expiry}
    return MarketView(
        symbol=symbol,
        session=session,
        index_close_paise=_index_closes(table, low, high, session),
        expiries=_final_expiries(table, with_bhavcopy, redatings, entries, scheduled, with_options=True),
        monthly_expiries=_final_expiries(table, with_bhavcopy, redatings, monthly, scheduled, with_options=False),
        starts_at=span[0],
        quotes=tables.quotes,
        futures=tables.futures,
        chains=tables.chains,
        redatings=redatings,
        scheduled=scheduled,
        digest=_digest(table, low, high, dated, entries),
    )


def _no_session(symbol: str, table: SessionTable, from_date: date | None, to_date: date | None) -> str:
    days = table.session[table.has_bhavcopy]
    have = "none" if days.size == 0 else f"{np.datetime64(int(days[0]), 'D')} to {np.datetime64(int(days[-1]), 'D')}"
    asked = f"{from_date or 'the beginning'} to {to_date or 'the end'}"
    return f"symbol {symbol}: no session from {asked}; the panel holds {have}; widen the dates or ingest more files"


def _index_closes(table: SessionTable, low: int, high: int, session: Int32Array) -> Int64Array:
    underlying = table.underlying_paise[low:high]
    close = np.where(underlying != MISSING_PAISE, underlying, table.index_close_paise[low:high])
    closes = np.full(session.size, MISSING_PAISE, np.int64)
    position = np.searchsorted(table.session[low:high], session)
    np.minimum(position, high - low - 1, out=position)
    is_known = table.session[low:high][position] == session
    closes[is_known] = close[position[is_known]]
    return closes


def _redatings(table: SessionTable, with_bhavcopy: Int64Array) -> tuple[Redating, ...]:
    # A change on the view's first session was against one outside it, whose rows nobody can see.
    start, end = int(with_bhavcopy[0]) + 1, int(with_bhavcopy[-1]) + 1
    if start >= end or not table.redated_from.between(start, end).size:
        return ()
    return tuple(
        Redating(int(table.session[position]), int(old), int(new))
        for position in range(start, end)
        for old, new in zip(table.redated_from.at(position), table.redated_to.at(position), strict=True)
    )


def _final_expiries(
    table: SessionTable,
    with_bhavcopy: Int64Array,
    redatings: tuple[Redating, ...],
    entries: tuple[CalendarExpiry, ...],
    scheduled: dict[int, int],
    *,
    with_options: bool,
) -> Int32Array:
    low, high = int(with_bhavcopy[0]), int(with_bhavcopy[-1]) + 1
    ragged = table.option_expiries if with_options else table.future_expiries
    expiry = ragged.between(low, high)
    if redatings and expiry.size:
        expiry = expiry.copy()
        listed_on = np.repeat(table.session[low:high], np.diff(ragged.offset[low : high + 1]))
        for move in redatings:
            expiry[(expiry == move.old) & (listed_on < move.session)] = move.new
    final = {other: expiry for expiry, other in scheduled.items()}
    listed = {final.get(day, day) for day in _distinct(expiry)}
    return np.array(sorted(listed | {entry.expiry for entry in entries}), np.int32)


def _distinct(days: Int32Array) -> list[int]:
    """Return the distinct values of days that lie close together; faster than sorting."""
    if days.size == 0:
        return []
    first = int(days.min())
    seen = np.zeros(int(days.max()) - first + 1, bool)
    seen[days - first] = True
    return [first + int(position) for position in np.flatnonzero(seen)]


def _digest(
    table: SessionTable, low: int, high: int, dated: tuple[int, ...], entries: tuple[CalendarExpiry, ...]
) -> str:
    digest = sha256(table.digest[low:high].tobytes())
    if dated or entries:
        digest.update(repr((dated, [(entry.expiry, entry.scheduled, entry.is_monthly) for entry in entries])).encode())
    return digest.hexdigest()
