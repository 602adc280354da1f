"""Notices: why a trade was not made, or what to know about one that was."""

from datetime import date
from decimal import Decimal
from typing import Any

Row = dict[str, Any]

KINDS = [
    "expiry_not_a_session",
    "window_too_short",
    "index_close_missing",
    "no_tradable_strike",
    "contract_missing_at_exit",
    "no_future_expiry",
    "contract_missing_at_entry",
    "stale_close_at_exit",
    "lot_size_unknown",
    "lot_size_differs",
    "no_weekly_expiry",
]


def notice(
    kind: str,
    leg: str = "",
    *,
    entry: date | None = None,
    exit_: date | None = None,
    expiry: date | None,
    strike: Decimal | None = None,
    day: date,
) -> Row:
    """Return one notice with all its fields."""
    return {
        "kind": kind,
        "leg": leg,
        "entry_date": entry,
        "exit_date": exit_,
        "expiry": expiry,
        "strike": strike,
        "date": day,
        "detail": "",
    }


def order(row: Row) -> tuple[date, date, int, str]:
    """Return the key by which notices are sorted; equal ones keep the order of their windows."""
    return (
        row["entry_date"] or row["date"],
        row["exit_date"] or date.min,
        KINDS.index(row["kind"]),
        row["leg"],
    )
