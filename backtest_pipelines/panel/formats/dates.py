"""Dates as the exchange and its re-exporters write them, in cells and in file names."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"), start=1
    )
}
_ISO: Final = re.compile(r"(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})", re.ASCII)
_NAMED_MONTH: Final = re.compile(r"(?P<day>\d{2})-(?P<month>[A-Za-z]{3})-(?P<year>\d{4})", re.ASCII)
_DAY_FIRST: Final = re.compile(r"(?P<day>\d{2})-(?P<month>\d{2})-(?P<year>\d{4})", re.ASCII)
_IN_NAME: Final = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"(?<!\d){_ISO.pattern}(?!\d)",
        r"(?<!\d)(?P<year>20\d{2})(?P<month>\d{2})(?P<day>\d{2})(?!\d)",
        rf"(?<!\d){_DAY_FIRST.pattern}(?!\d)",
        r"(?<!\d)(?P<day>\d{2})(?P<month>\d{2})(?P<year>20\d{2})(?!\d)",
        r"(?<!\d)(?P<day>\d{2})-?(?P<month>[A-Za-z]{3})-?(?P<year>\d{4})(?!\d)",
    )
)


def parse_date(text: str, *, day_first: bool = False) -> date | None:
    """Read a date written as ``2021-03-18`` or ``18-Mar-2021`` (in any case).

    Parameters
    ----------
    text : str
        The cell.
    day_first : bool
        Read ``18-03-2021`` too.

    Returns
    -------
    date or None
        None where the text is no such date.
    """
    match = _ISO.fullmatch(text) or _NAMED_MONTH.fullmatch(text)
    if match is None and day_first:
        match = _DAY_FIRST.fullmatch(text)
    return None if match is None else _matched_date(match)


def dates_in_name(name: str) -> set[date]:
    """Give every date that a file's name carries: ``18MAR2021``, ``20250203``, ``18032021`` or ISO."""
    found = (_matched_date(match) for pattern in _IN_NAME for match in pattern.finditer(name))
    return {day for day in found if day is not None}


def _matched_date(match: re.Match[str]) -> date | None:
    month = match["month"]
    try:
        number = int(month) if month.isdigit() else _MONTHS[month.upper()]
        return date(int(match["year"]), number, int(match["day"]))
    except (KeyError, ValueError):
        return None
