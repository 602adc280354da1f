"""One symbol's data between two dates: sessions, index closes, expiries and contracts that were re-dated."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from backtest_pipelines_tests.reference.market import Market, Quote

FURTHEST_REDATING = timedelta(days=6)


@dataclass(frozen=True)
class Redating:
    """From `session` on, what was listed as expiring on `before` is listed as expiring on `after`."""

    session: date
    before: date
    after: date


class View:
    """Everything that a backtest may see; rows outside the two dates are as if absent."""

    def __init__(self, market: Market, symbol: str, from_date: date | None, to_date: date | None) -> None:
        def is_inside(day: date) -> bool:
            return (from_date is None or from_date <= day) and (to_date is None or day <= to_date)

        self.sessions = [session for session in market.sessions() if is_inside(session)]
        self.rows: dict[date, list[Quote]] = {session: [] for session in self.sessions}
        for quote in market.quotes:
            if quote.symbol == symbol and is_inside(quote.session):
                self.rows[quote.session].append(quote)

        self.index_close: dict[date, Decimal] = {}
        for close in market.index_closes:
            if close.symbol == symbol and is_inside(close.session):
                self.index_close[close.session] = close.close
        for session in self.sessions:
            for quote in self.rows[session]:
                if quote.underlying is not None:
                    self.index_close[session] = quote.underlying

        self.redatings = _redatings(self.sessions, self.rows)
        self.option_expiries = sorted(self._final_expiries({"CE", "PE"}))
        self.monthly_expiries = sorted(self._final_expiries({"FUT"}))

    def _final_expiries(self, instruments: set[str]) -> set[date]:
        listed = {(q.expiry, q.session) for rows in self.rows.values() for q in rows if q.instrument in instruments}
        return {self.final_expiry(expiry, session) for expiry, session in listed}

    def final_expiry(self, listed: date, session: date) -> date:
        """Return the last date under which what is listed as `listed` on `session` is known in this view."""
        for redating in self.redatings:  # in order of time, so a chain is followed in one pass
            if redating.session > session and redating.before == listed:
                listed = redating.after
                session = redating.session
        return listed

    def contracts(self, session: date, instrument: str, final_expiry: date) -> list[Quote]:
        """Return the session's rows of one expiry, under the date by which it was listed on that session.

        Where two listed dates lead to the same final one, that which was still to be re-dated is meant,
        the earlier of several.
        """
        names = {q.expiry for q in self.rows[session] if self.final_expiry(q.expiry, session) == final_expiry}
        if not names:
            return []
        name = min(names, key=lambda listed: (listed == final_expiry, listed))
        return [q for q in self.rows[session] if q.instrument == instrument and q.expiry == name]


def _redatings(sessions: list[date], rows: dict[date, list[Quote]]) -> list[Redating]:
    found = []
    for earlier, later in pairwise(sessions):
        contracts_earlier = _contracts_by_expiry(rows[earlier])
        contracts_later = _contracts_by_expiry(rows[later])
        vanished = [day for day in contracts_earlier if day not in contracts_later and day >= later]
        appeared = [day for day in contracts_later if day not in contracts_earlier]
        for before in sorted(vanished):
            successors = [
                after
                for after in appeared
                if abs(after - before) <= FURTHEST_REDATING
                and 2 * len(contracts_earlier[before] & contracts_later[after]) >= len(contracts_earlier[before])
            ]
            if successors:
                after = min(successors, key=lambda day, before=before: (abs(day - before), day))  # type: ignore[misc]
                found.append(Redating(later, before, after))
    return found


def _contracts_by_expiry(rows: list[Quote]) -> dict[date, set[tuple[str, Decimal]]]:
    contracts: dict[date, set[tuple[str, Decimal]]] = {}
    for quote in rows:
        contracts.setdefault(quote.expiry, set()).add((quote.instrument, quote.strike))
    return contracts
