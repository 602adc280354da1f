"""The daily equity of a backtest, for one unit of the underlying.

Here belongs how trades become a daily series. What is measured on the series belongs in ``statistics``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from backtest_pipelines.errors import BugError
from backtest_pipelines.market.units import PAISE_PER_INR, date_of


@dataclass(frozen=True, slots=True, eq=False)
class EquityCurve:
    """Daily equity on n sessions, from the first trade's entry to the last trade's exit.

    All arrays have shape (n,). Without trades n is 0.

    Attributes
    ----------
    session : numpy.ndarray of int32
        Days since 1970-01-01, strictly ascending.
    equity_points : numpy.ndarray of float64
        Spot of the first entry plus the marked-to-market net P&L so far, INR per unit.
    booked_points : numpy.ndarray of float64
        Spot of the first entry plus the net P&L of the trades that have ended, INR per unit.
    is_held : numpy.ndarray of bool
        Whether a position was open over the step into this session: held from the previous session's close to
        this one's. The first is always False.
    """

    session: npt.NDArray[np.int32]
    equity_points: npt.NDArray[np.float64]
    booked_points: npt.NDArray[np.float64]
    is_held: npt.NDArray[np.bool_]


def equity_curve(
    session: npt.NDArray[np.int32],
    entry_index: npt.NDArray[np.int64],
    exit_index: npt.NDArray[np.int64],
    mark_offset: npt.NDArray[np.int64],
    mark_pnl_paise: npt.NDArray[np.int64],
    first_spot_paise: int,
) -> EquityCurve:
    """Lay the trades' daily marks end to end.

    Between two trades the equity stays at what is booked. A trade may begin on the session where the
    one before it ended.

    Parameters
    ----------
    session : numpy.ndarray of int32
        All sessions of the view, days since 1970-01-01, ascending.
    entry_index, exit_index : numpy.ndarray of int64, shape (m,)
        Sessions of entry and exit of each trade, as indices into `session`. In time order, not overlapping.
    mark_offset : numpy.ndarray of int64, shape (m + 1,)
        The marks of trade i are ``mark_pnl_paise[mark_offset[i]:mark_offset[i + 1]]``. Not read when there
        are no trades.
    mark_pnl_paise : numpy.ndarray of int64, shape (k,)
        Open P&L of a trade on each session from its entry to its exit, both included. The first is 0, the
        last is the trade's net P&L.
    first_spot_paise : int
        Index close at the first entry, positive. Not read when there are no trades.

    Returns
    -------
    EquityCurve

    Raises
    ------
    BugError
        The arrays contradict one another: the caller's mistake, not the user's.
    """
    if entry_index.size == 0:
        return EquityCurve(
            session=np.empty(0, np.int32),
            equity_points=np.empty(0, np.float64),
            booked_points=np.empty(0, np.float64),
            is_held=np.empty(0, np.bool_),
        )
    _check(session, entry_index, exit_index, mark_offset, mark_pnl_paise, first_spot_paise)
    first, end = int(entry_index[0]), int(exit_index[-1]) + 1
    entry, leave = entry_index - first, exit_index - first

    net_pnl_paise = mark_pnl_paise[mark_offset[1:] - 1]
    step_paise = np.zeros(end - first, np.int64)
    step_paise[0] = first_spot_paise
    step_paise[leave] = net_pnl_paise
    booked_paise = np.cumsum(step_paise)

    marks = np.diff(mark_offset)
    before_paise = first_spot_paise + np.cumsum(net_pnl_paise) - net_pnl_paise
    position = np.arange(mark_pnl_paise.size) + np.repeat(entry - mark_offset[:-1], marks)
    equity_paise = booked_paise.copy()
    equity_paise[position] = np.repeat(before_paise, marks) + mark_pnl_paise

    opened = np.zeros(end - first + 1, np.int8)
    opened[entry + 1] += 1
    opened[leave + 1] -= 1
    return EquityCurve(
        session=session[first:end].astype(np.int32),
        equity_points=equity_paise / PAISE_PER_INR,
        booked_points=booked_paise / PAISE_PER_INR,
        is_held=np.cumsum(opened[:-1], dtype=np.int8).astype(np.bool_),
    )


def iso_date(days: np.int32) -> str:
    """Write days since 1970-01-01 as YYYY-MM-DD."""
    return date_of(days).isoformat()


def _check(
    session: npt.NDArray[np.int32],
    entry_index: npt.NDArray[np.int64],
    exit_index: npt.NDArray[np.int64],
    mark_offset: npt.NDArray[np.int64],
    mark_pnl_paise: npt.NDArray[np.int64],
    first_spot_paise: int,
) -> None:
    if exit_index.size != entry_index.size or mark_offset.size != entry_index.size + 1:
        raise BugError(
            f"equity: {entry_index.size} entries, {exit_index.size} exits and {mark_offset.size} offsets of "
            "marks; as many exits as entries and one offset more are needed"
        )
    if entry_index[0] < 0 or exit_index[-1] >= session.size:
        raise BugError(
            f"equity: trades span sessions {entry_index[0]} to {exit_index[-1]} of {session.size}; "
            f"0 to {session.size - 1} is possible"
        )
    if (exit_index <= entry_index).any() or (entry_index[1:] < exit_index[:-1]).any():
        raise BugError("equity: each trade must end after it began and no earlier than the next one begins")
    if (
        mark_offset[0] != 0
        or mark_offset[-1] != mark_pnl_paise.size
        or (np.diff(mark_offset) != exit_index - entry_index + 1).any()
    ):
        raise BugError("equity: each trade needs one mark a session from its entry to its exit, both included")
    if mark_pnl_paise[mark_offset[:-1]].any():
        raise BugError("equity: the mark on a trade's entry must be 0 paise")
    if first_spot_paise <= 0:
        raise BugError(f"equity: first_spot_paise is {first_spot_paise}; it must be positive")
