"""An optional calendar of sessions and expiries, for data with gaps.

Two kinds of csv are read, known by their header: sessions (a column ``date``) and expiries (columns ``symbol``,
``expiry`` and ``type``, and ``scheduled`` where the real date differs from the one first announced). Other columns
are not read.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.market.symbols import SYMBOLS
from backtest_pipelines.market.units import day_number

EXPIRY_TYPES = ("weekly", "monthly")


@dataclass(frozen=True, slots=True, order=True)
class CalendarExpiry:
    """One expiry of a symbol; dates in days since 1970-01-01."""

    expiry: int
    scheduled: int
    is_monthly: bool


@dataclass(frozen=True, slots=True)
class Calendar:
    """Sessions (days since 1970-01-01, ascending) and expiries by symbol, ascending; both may be empty."""

    sessions: tuple[int, ...] = ()
    expiries: Mapping[str, tuple[CalendarExpiry, ...]] = field(default_factory=dict)

    def of(self, symbol: str) -> tuple[CalendarExpiry, ...]:
        """Return the expiries of a symbol."""
        return self.expiries.get(symbol, ())

    def updated(self, other: Calendar) -> Calendar:
        """Return this calendar with the parts that ``other`` has replaced by its own."""
        return Calendar(other.sessions or self.sessions, {**self.expiries, **other.expiries})

    def to_json(self) -> dict[str, object]:
        """Return plain lists and numbers."""
        return {
            "sessions": list(self.sessions),
            "expiries": {
                symbol: [[entry.expiry, entry.scheduled, entry.is_monthly] for entry in entries]
                for symbol, entries in self.expiries.items()
            },
        }

    @staticmethod
    def from_json(content: Any) -> Calendar:  # noqa: ANN401 - whatever JSON holds
        """Return the calendar that `to_json` described."""
        return Calendar(
            tuple(content["sessions"]),
            {
                symbol: tuple(CalendarExpiry(*entry) for entry in entries)
                for symbol, entries in content["expiries"].items()
            },
        )


def read_calendar(path: Path) -> Calendar:
    """Read a calendar of sessions or of expiries.

    Raises
    ------
    BadDataError
        Naming file, line and value.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = set(reader.fieldnames or ())
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadDataError(path.name, f"cannot be read as a calendar: {error}") from error
    if {"symbol", "expiry", "type"} <= header:
        return Calendar(expiries=_expiries(path.name, rows))
    if "date" in header:
        return Calendar(sessions=tuple(sorted({_day(path.name, line, row["date"]) for line, row in rows})))
    raise BadDataError(path.name, "is no calendar: needs a column date, or the columns symbol, expiry, type", line=1)


def _expiries(name: str, rows: list[tuple[int, dict[str, str]]]) -> dict[str, tuple[CalendarExpiry, ...]]:
    by_symbol: dict[str, set[CalendarExpiry]] = {}
    for line, row in rows:
        if row["symbol"] not in SYMBOLS:
            raise BadDataError(name, f"symbol: got {row['symbol']!r}; allowed: {', '.join(SYMBOLS)}", line)
        if row["type"] not in EXPIRY_TYPES:
            raise BadDataError(name, f"type: got {row['type']!r}; allowed: {', '.join(EXPIRY_TYPES)}", line)
        expiry = _day(name, line, row["expiry"])
        scheduled = _day(name, line, row.get("scheduled") or row["expiry"])
        by_symbol.setdefault(row["symbol"], set()).add(CalendarExpiry(expiry, scheduled, row["type"] == "monthly"))
    return {symbol: tuple(sorted(entries)) for symbol, entries in by_symbol.items()}


def _day(name: str, line: int, text: str) -> int:
    try:
        return day_number(date.fromisoformat(text))
    except (TypeError, ValueError):
        raise BadDataError(name, f"date: got {text!r}; expected an ISO date such as 2021-11-30", line) from None
