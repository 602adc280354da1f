"""Sessions and expiries of the sample market: its own holidays, special sessions and expiry weekdays.

What belongs here is when the invented exchange is open and which expiry dates its contracts carry on a
session. The dates follow the real exchange from May 2024 to October 2025 and are written down a second time
on purpose: the sample must not inherit a mistake of the tables that the engine reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from typing import Literal, NamedTuple

FIRST_DAY = date(2024, 5, 1)
LAST_DAY = date(2025, 10, 31)

# Weekdays without a session. Those after October 2025 are needed for the expiries that are listed ahead.
HOLIDAYS = frozenset(
    date.fromisoformat(day)
    for day in (
        *("2024-05-01", "2024-05-20", "2024-06-17", "2024-07-17", "2024-08-15", "2024-10-02", "2024-11-15"),
        *("2024-11-20", "2024-12-25", "2025-02-26", "2025-03-14", "2025-03-31", "2025-04-10", "2025-04-14"),
        *("2025-04-18", "2025-05-01", "2025-08-15", "2025-08-27", "2025-10-02", "2025-10-22", "2025-11-05"),
        *("2025-12-25", "2026-01-26", "2026-03-03", "2026-03-26", "2026-03-31", "2026-04-03", "2026-04-14"),
    )
)
SATURDAY_SESSIONS = frozenset({date(2024, 5, 18), date(2025, 2, 1)})
MUHURAT_EVENINGS = frozenset({date(2024, 11, 1), date(2025, 10, 21)})

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = range(4)

Kind = Literal["weekly", "monthly", "long"]


class WeekdayRule(NamedTuple):
    """The weekday on which contracts expire, by the session that lists them and by the expiry."""

    listed_from: date
    expiries_from: date
    weekday: int


@dataclass(frozen=True)
class Listing:
    """What is listed for a symbol.

    Attributes
    ----------
    monthly : tuple of WeekdayRule
        The last rule that applies counts.
    long_months : tuple of int
        Months (1 to 12) whose contracts are listed before they are among the three nearest.
    long_contracts : int
        How many of them.
    weekly : tuple of WeekdayRule
        Empty where there are no weeklies.
    weeklies : int
        How many weeklies are listed beside the monthlies.
    last_weekly : date or None
        The last weekly expiry, where weeklies ended.
    """

    monthly: tuple[WeekdayRule, ...]
    long_months: tuple[int, ...] = ()
    long_contracts: int = 0
    weekly: tuple[WeekdayRule, ...] = ()
    weeklies: int = 0
    last_weekly: date | None = None


@dataclass(frozen=True)
class Expiry:
    """One expiry as a session lists it.

    Attributes
    ----------
    series : int
        Names the contract for its whole life, whatever date it carries: YYYYMM of a monthly, the proleptic
        ordinal of the week's Monday for a weekly (the two ranges do not meet).
    kind : {"weekly", "monthly", "long"}
        "long" is a month beyond the three nearest, without a future.
    listed : date
        The expiry date that the session's file shows.
    rank : int
        0 for the nearest of its kind.
    """

    series: int
    kind: Kind
    listed: date
    rank: int


_ALWAYS = date.min
# Every expiry from 1 September 2025 is a Tuesday. Contracts created after the announcement of 17 June 2025
# had it from the start; long-dated ones that existed were re-dated after the close of 31 July 2025.
_TUESDAY_SINCE_CREATION = WeekdayRule(date(2025, 6, 18), date(2025, 9, 1), TUESDAY)
_TUESDAY_RE_DATED = WeekdayRule(date(2025, 8, 1), date(2025, 9, 1), TUESDAY)
_THURSDAY_RE_DATED = WeekdayRule(date(2025, 1, 1), date(2025, 1, 1), THURSDAY)


def _always(weekday: int) -> WeekdayRule:
    return WeekdayRule(_ALWAYS, _ALWAYS, weekday)


LISTINGS = {
    "NIFTY": Listing(
        monthly=(_always(THURSDAY), _TUESDAY_RE_DATED),
        long_months=(6, 12),
        long_contracts=2,
        weekly=(_always(THURSDAY), _TUESDAY_SINCE_CREATION),
        weeklies=4,
    ),
    "BANKNIFTY": Listing(
        monthly=(_always(WEDNESDAY), _THURSDAY_RE_DATED, _TUESDAY_RE_DATED),
        long_months=(3, 6, 9, 12),
        long_contracts=1,
        weekly=(_always(WEDNESDAY),),
        weeklies=3,
        last_weekly=date(2024, 11, 13),
    ),
    "FINNIFTY": Listing(
        monthly=(_always(TUESDAY), _THURSDAY_RE_DATED, _TUESDAY_SINCE_CREATION),
        weekly=(_always(TUESDAY),),
        weeklies=3,
        last_weekly=date(2024, 11, 19),
    ),
    "MIDCPNIFTY": Listing(monthly=(_always(MONDAY), _THURSDAY_RE_DATED, _TUESDAY_SINCE_CREATION)),
    "HDFCBANK": Listing(monthly=(_always(THURSDAY), _TUESDAY_SINCE_CREATION)),
    "RELIANCE": Listing(monthly=(_always(THURSDAY), _TUESDAY_SINCE_CREATION)),
}


def is_session(day: date) -> bool:
    """Return whether the exchange is open on a day, Saturdays and Muhurat evenings included."""
    return day in SATURDAY_SESSIONS or (day.weekday() < 5 and day not in HOLIDAYS)


def sessions(first: date, last: date) -> list[date]:
    """Return the sessions from `first` to `last`, both included, in order."""
    days = (first + timedelta(offset) for offset in range((last - first).days + 1))
    return [day for day in days if is_session(day)]


@cache
def listed_expiries(symbol: str, session: date) -> tuple[Expiry, ...]:
    """Return the expiries that a symbol's contracts carry in the file of a session.

    An expiry on a holiday is on the session before it; a Muhurat evening or a special Saturday is no expiry
    day.

    Parameters
    ----------
    symbol : str
        A key of `LISTINGS`.
    session : date
        The session whose file is meant.

    Returns
    -------
    tuple of Expiry
        Weeklies, then the three nearest monthlies, then long-dated ones; each kind by date, none before
        `session`.
    """
    listing = LISTINGS[symbol]
    return (*_weeklies(listing, session), *_monthlies(listing, session))


def _weeklies(listing: Listing, session: date) -> list[Expiry]:
    found: list[Expiry] = []
    monday = session - timedelta(session.weekday())
    while len(found) < listing.weeklies:
        scheduled = _scheduled(listing.weekly, session, monday + timedelta(6))
        if listing.last_weekly is not None and scheduled > listing.last_weekly:
            break
        expiry = _moved_off_holidays(scheduled)
        if expiry >= session and scheduled != _scheduled_monthly(listing, session, scheduled.year, scheduled.month):
            found.append(Expiry(monday.toordinal(), "weekly", expiry, len(found)))
        monday += timedelta(7)
    return found


def _monthlies(listing: Listing, session: date) -> list[Expiry]:
    near: list[Expiry] = []
    far: list[Expiry] = []
    year, month = session.year, session.month
    while len(near) < 3 or len(far) < listing.long_contracts:
        expiry = _moved_off_holidays(_scheduled_monthly(listing, session, year, month))
        series = year * 100 + month
        if expiry >= session and len(near) < 3:
            near.append(Expiry(series, "monthly", expiry, len(near)))
        elif expiry >= session and month in listing.long_months:
            far.append(Expiry(series, "long", expiry, len(far)))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return near + far


def _scheduled_monthly(listing: Listing, session: date, year: int, month: int) -> date:
    next_month = date(year + month // 12, month % 12 + 1, 1)
    return _scheduled(listing.monthly, session, next_month - timedelta(1))


def _scheduled(rules: tuple[WeekdayRule, ...], session: date, latest: date) -> date:
    """Return the last expiry up to a day, by the last rule that the session knows and that reaches it."""
    for rule in reversed(rules):
        scheduled = latest - timedelta((latest.weekday() - rule.weekday) % 7)
        if session >= rule.listed_from and scheduled >= rule.expiries_from:
            break
    return scheduled


def _moved_off_holidays(day: date) -> date:
    while day.weekday() > 4 or day in HOLIDAYS or day in MUHURAT_EVENINGS:
        day -= timedelta(1)
    return day
