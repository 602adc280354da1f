"""One symbol of one state of the store, and the views of it that are kept."""

from __future__ import annotations

from datetime import date
from functools import cached_property
from threading import Lock

from backtest_pipelines.errors import MissingDataError
from backtest_pipelines.market.units import date_of
from backtest_pipelines.panel.calendar import Calendar
from backtest_pipelines.panel.symbol_tables import SymbolTables
from backtest_pipelines.panel.view import MarketView, market_view

VIEWS_KEPT = 64


class SymbolPanel:
    """One symbol of one state of the store. Views of it are kept, so that equal questions of dates share them."""

    def __init__(self, symbol: str, tables: SymbolTables, calendar: Calendar) -> None:
        self.symbol = symbol
        self.tables = tables
        self.calendar = calendar
        self._lock = Lock()
        self._views: dict[tuple[date | None, date | None], MarketView] = {}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of all sessions, in hex."""
        return self.tables.digest()

    @property
    def session_count(self) -> int:
        """Number of sessions with a bhavcopy."""
        return int(self.tables.sessions.has_bhavcopy.sum())

    @property
    def row_count(self) -> int:
        """Number of quotes."""
        return len(self.tables.quotes.key)

    @property
    def first_session(self) -> date:
        """First session with a bhavcopy."""
        return self._session(0)

    @property
    def last_session(self) -> date:
        """Last session with a bhavcopy."""
        return self._session(-1)

    def _session(self, position: int) -> date:
        days = self.tables.sessions.session[self.tables.sessions.has_bhavcopy]
        if days.size == 0:
            raise MissingDataError(f"{self.symbol}: index closes but no bhavcopy is in the panel; ingest bhavcopies")
        return date_of(days[position])

    def view(self, from_date: date | None, to_date: date | None) -> MarketView:
        """Return the market cut to the dates, both included.

        Raises
        ------
        MissingDataError
            If no session lies within them.
        """
        dates = (from_date, to_date)
        found = self._views.get(dates)
        if found is None:
            found = market_view(self.symbol, self.tables, self.calendar, from_date, to_date)
            with self._lock:
                while len(self._views) >= VIEWS_KEPT:
                    del self._views[next(iter(self._views))]
                self._views[dates] = found
        return found
