"""What the hand-worked cases look at in trades and notices."""

from typing import Any

Rows = list[dict[str, Any]]


def held(trades: Rows) -> list[tuple[int, int]]:
    return [(trade["entry_date"].day, trade["exit_date"].day) for trade in trades]


def said(notices: Rows) -> list[tuple[Any, ...]]:
    return [
        (n["kind"], n["leg"], n["entry_date"], n["exit_date"], n["expiry"], n["strike"], n["date"]) for n in notices
    ]
