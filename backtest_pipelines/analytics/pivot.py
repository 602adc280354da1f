"""Net P&L by year and month of the exit."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from backtest_pipelines.market.units import PAISE_PER_INR


def pivot(exit_date: npt.NDArray[np.int32], net_pnl_paise: npt.NDArray[np.int64]) -> dict[str, Any]:
    """Sum the trades by the month in which they ended.

    Sums are taken in whole paise and divided once, so that rows, columns and total agree to the paisa.

    Parameters
    ----------
    exit_date : numpy.ndarray of int32, shape (m,)
        Days since 1970-01-01, in any order.
    net_pnl_paise : numpy.ndarray of int64, shape (m,)
        Net P&L of each trade, per unit.

    Returns
    -------
    dict
        JSON-able. ``unit`` is "points" (INR per unit); ``years`` every year from the first to the last exit,
        ``months`` 1 to 12; ``net_pnl_points`` a row a year with a column a month, None where no trade ended;
        ``trades`` the counts in the same shape; ``year_totals`` and ``month_totals`` in points, None where no
        trade ended; ``total`` in points, 0.0 without trades.
    """
    first_year, rows = 1970, 0
    month = exit_date.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)  # since 1970-01
    if month.size:
        first_year += int(month.min()) // 12
        rows = 1970 + int(month.max()) // 12 - first_year + 1
    cell = month - (first_year - 1970) * 12
    trades = np.bincount(cell, minlength=rows * 12).reshape(rows, 12)
    sum_paise = np.zeros((rows, 12), np.int64)
    np.add.at(sum_paise.reshape(-1), cell, net_pnl_paise)
    return {
        "unit": "points",
        "years": list(range(first_year, first_year + rows)),
        "months": list(range(1, 13)),
        "net_pnl_points": [_points(sum_paise[row], trades[row]) for row in range(rows)],
        "trades": trades.tolist(),
        "year_totals": _points(sum_paise.sum(axis=1), trades.sum(axis=1)),
        "month_totals": _points(sum_paise.sum(axis=0), trades.sum(axis=0)),
        "total": int(sum_paise.sum()) / PAISE_PER_INR,
    }


def _points(sum_paise: npt.NDArray[np.int64], trades: npt.NDArray[np.intp]) -> list[float | None]:
    return [
        paise / PAISE_PER_INR if count else None
        for paise, count in zip(sum_paise.tolist(), trades.tolist(), strict=True)
    ]
