"""What the exchange and the state changed over time: lot sizes by expiry and charges by trade date.

The tables stand in ``tables/`` as csv with the source of each row.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from backtest_pipelines.market.units import day_number

LOT_UNKNOWN = 0

RATE_UNITS_PER_PERCENT = 1_000_000
"""Rates are kept as whole hundred-millionths, so that charges are summed without rounding."""

_BEGINNING = date(1971, 1, 1)


def lot_sizes(
    symbol: str, expiry: npt.NDArray[np.int32], *, is_monthly: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int32]:
    """Return the lot size of contracts by their expiry; the lot never depends on the trade date.

    Parameters
    ----------
    symbol : str
    expiry : int32[n]
        Days since 1970-01-01.
    is_monthly : bool[n]
        Monthly and weekly expiries change at different dates.

    Returns
    -------
    int32[n]
        Units; 0 where the table does not reach back.
    """
    sizes = np.full(expiry.shape, LOT_UNKNOWN, np.int32)
    for kind, rows in (("monthly", is_monthly), ("weekly", ~is_monthly)):
        first, size = _lots(symbol, kind)
        position = np.searchsorted(first, expiry[rows], side="right")
        sizes[rows] = size[position]
    return sizes


def charge_rates(item: str, day: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Return the rate of a charge on trade dates.

    Parameters
    ----------
    item : str
        A name of ``tables/charges.csv``.
    day : int32[n]
        Days since 1970-01-01.

    Returns
    -------
    int64[n]
        Hundred-millionths of the turnover (1 percent is 1,000,000).
    """
    first, rate = _charges(item)
    return rate[np.searchsorted(first, day, side="right") - 1]


@cache
def _lots(symbol: str, kind: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    rows = [row for row in _table("lots") if row["symbol"] == symbol and row["kind"] == kind]
    first = _days(row["first_expiry"] for row in rows)
    return first, np.array([LOT_UNKNOWN, *(int(row["lot_size"]) for row in rows)], np.int32)


@cache
def _charges(item: str) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    rows = [row for row in _table("charges") if row["item"] == item]
    if not rows:
        raise KeyError(item)
    rates = [int(Decimal(row["rate_percent"]) * RATE_UNITS_PER_PERCENT) for row in rows]
    return _days(row["from"] for row in rows), np.array(rates, np.int64)


def _days(texts: Iterable[str]) -> npt.NDArray[np.int32]:
    return np.array([day_number(date.fromisoformat(text) if text else _BEGINNING) for text in texts], np.int32)


def _table(name: str) -> list[dict[str, str]]:
    text = files("backtest_pipelines.market").joinpath("tables", f"{name}.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
