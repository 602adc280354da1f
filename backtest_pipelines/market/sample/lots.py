"""Lot sizes of the sample market, by the expiry of the contract.

What belongs here is the sample's own list, written apart from the dated tables that the engine reads. The
sizes of the three indices are the exchange's; those of the other symbols are plausible.
"""

from __future__ import annotations

from datetime import date

# Symbol: first weekly expiry, first monthly expiry, units a lot. The last row that applies counts.
_LOTS: dict[str, tuple[tuple[date, date, int], ...]] = {
    "NIFTY": (
        (date.min, date.min, 25),
        (date(2025, 1, 2), date(2025, 2, 27), 75),
        (date(2026, 1, 6), date(2026, 1, 27), 65),
    ),
    "BANKNIFTY": (
        (date.min, date.min, 15),
        (date.max, date(2025, 2, 1), 30),
        (date.max, date(2025, 7, 31), 35),
        (date.max, date(2026, 1, 27), 30),
    ),
    "FINNIFTY": (
        (date.min, date.min, 40),
        (date(2024, 8, 6), date(2024, 7, 30), 25),
        (date.max, date(2025, 2, 1), 65),
        (date.max, date(2026, 1, 27), 60),
    ),
    "MIDCPNIFTY": ((date.min, date.min, 50), (date.max, date(2025, 2, 1), 120)),
    "HDFCBANK": ((date.min, date.min, 550),),
    "RELIANCE": ((date.min, date.min, 250), (date.max, date(2024, 11, 1), 500)),
}


def lot_size(symbol: str, expiry: date, *, weekly: bool) -> int:
    """Return the units of one lot of a contract.

    Parameters
    ----------
    symbol : str
        One of the sample's symbols.
    expiry : date
        The contract's expiry as listed.
    weekly : bool
        Whether it is a weekly contract.
    """
    return [
        lot
        for first_weekly, first_monthly, lot in _LOTS[symbol]
        if expiry >= (first_weekly if weekly else first_monthly)
    ][-1]
