"""A small, regular market for hand-worked cases: NIFTY, weekdays 2 to 23 September 2021.

Every session lists the weeklies of the 2nd, 9th, 16th, 23rd and 30th with calls on each 50 from 16500 to
17500 at 100.00, and the futures of 30 September, 28 October and 25 November at 17050.00. The index closes at
17000.00. Everything has traded. A case changes what it needs.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from backtest_pipelines_tests.reference.market import IndexClose, Market, Quote

Key = tuple[date, str, date, Decimal]
SEP_30, OCT_28, NOV_25 = date(2021, 9, 30), date(2021, 10, 28), date(2021, 11, 25)


def sep(day: int) -> date:
    """Return a day of September 2021."""
    return date(2021, 9, day)


class Chain:
    """The market, by (session, instrument, listed expiry, strike)."""

    def __init__(self, closes: Mapping[int, str] | None = None) -> None:
        sessions = [sep(day) for day in range(2, 24) if sep(day).weekday() < 5]
        self.closes = dict.fromkeys(sessions, Decimal("17000.00"))
        self.closes.update({sep(day): Decimal(close) for day, close in (closes or {}).items()})
        self.rows: dict[Key, Quote] = {}
        for session in sessions:
            for month in (SEP_30, OCT_28, NOV_25):
                self.add(session, "FUT", month, 0, "17050.00")
            for expiry in (sep(2), sep(9), sep(16), sep(23), SEP_30):
                if expiry >= session:
                    for strike in range(16500, 17501, 50):
                        self.add(session, "CE", expiry, strike, "100.00")

    def add(self, session: date, instrument: str, expiry: date, strike: int | str, close: str) -> None:
        """List a contract that traded."""
        self.rows[session, instrument, expiry, Decimal(strike)] = Quote(
            session=session,
            symbol="NIFTY",
            instrument=instrument,
            expiry=expiry,
            strike=Decimal(strike),
            close=Decimal(close),
            contracts=10,
            turnover_inr=Decimal(5_000_000),
            lot_size=None,
            underlying=None,
        )

    def call(self, session: int, expiry: date, strike: int, **changes: Any) -> None:
        """Change fields of one call."""
        self._change((sep(session), "CE", expiry, Decimal(strike)), changes)

    def future(self, session: int, month: date, **changes: Any) -> None:
        """Change fields of one future."""
        self._change((sep(session), "FUT", month, Decimal(0)), changes)

    def _change(self, key: Key, changes: dict[str, Any]) -> None:
        if isinstance(changes.get("close"), str):
            changes["close"] = Decimal(changes["close"])
        self.rows[key] = replace(self.rows[key], **changes)

    def drop(self, session: int, instrument: str, expiry: date, strike: int = 0) -> None:
        """Take one contract out of one session."""
        del self.rows[sep(session), instrument, expiry, Decimal(strike)]

    def drop_session(self, session: int) -> None:
        """Take a session's bhavcopy out."""
        self.rows = {key: quote for key, quote in self.rows.items() if key[0] != sep(session)}

    def redate(self, before: date, after: date, first_session: date) -> None:
        """List what expires on `before` under `after` from a session on, until it expires."""
        changed = {}
        for (session, instrument, expiry, strike), quote in self.rows.items():
            listed = after if expiry == before and session >= first_session else expiry
            if listed >= session:
                changed[session, instrument, listed, strike] = replace(quote, expiry=listed)
        self.rows = changed

    def market(self) -> Market:
        """Return the market as it stands."""
        closes = [IndexClose(session, "NIFTY", close) for session, close in self.closes.items()]
        return Market(list(self.rows.values()), closes)
