"""The two units that arrays are kept in: days since 1970-01-01 and whole paise."""

from __future__ import annotations

from datetime import date
from typing import SupportsInt

PAISE_PER_INR = 100

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def day_number(day: date) -> int:
    """Return the days since 1970-01-01."""
    return day.toordinal() - _EPOCH_ORDINAL


def date_of(number: SupportsInt) -> date:
    """Return the date of a number of days since 1970-01-01."""
    return date.fromordinal(int(number) + _EPOCH_ORDINAL)
