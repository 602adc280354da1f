"""Re-entry when the index has moved: where each window's position is closed and opened again."""

from __future__ import annotations

import numpy as np

from backtest_pipelines.panel.keys import BoolArray, Int64Array
from backtest_pipelines.strategies.parameters import WHOLE_UNITS

NO_ADJUSTMENT, ON_RISE, ON_FALL, ON_RISE_OR_FALL = 0, 1, 2, 3


def entries_and_exits(
    close_paise: Int64Array, start: Int64Array, end: Int64Array, adjustment: int, threshold_units: int
) -> tuple[Int64Array, Int64Array, Int64Array]:
    """Return window number, entry and exit position of each trade, in order of time.

    Parameters
    ----------
    close_paise : int64[sessions]
        Index closes; those of the windows' sessions that are needed are known.
    start, end : int64[n]
        Positions of the windows, start < end.
    adjustment : {0, 1, 2, 3}
        None, on a rise, on a fall, on either.
    threshold_units : int
        Ten-thousandths of a percent. A move of exactly the threshold triggers: all terms are whole numbers.

    Notes
    -----
    The walk steps through the days of all windows at once. A trigger on a window's last session only closes.
    """
    window = np.arange(start.size)
    if adjustment == NO_ADJUSTMENT or start.size == 0:
        return window, start, end
    base = close_paise[start]
    windows, entries = [window], [start]
    for step in range(1, int((end - start).max())):
        position = start + step
        close = close_paise[np.minimum(position, end)]
        hit = ((position < end) & _triggers(base, close, adjustment, threshold_units)).nonzero()[0]
        base[hit] = close[hit]
        windows.append(hit)
        entries.append(position[hit])
    window, entry = np.concatenate(windows), np.concatenate(entries)
    order = np.lexsort((entry, window))
    window, entry = window[order], entry[order]
    leave = end[window]
    is_followed = window[:-1] == window[1:]
    leave[:-1][is_followed] = entry[1:][is_followed]
    return window, entry, leave


def _triggers(base: Int64Array, close: Int64Array, adjustment: int, threshold_units: int) -> BoolArray:
    move = (close - base) * WHOLE_UNITS
    threshold = base * threshold_units
    if adjustment == ON_FALL:
        move = -move
    elif adjustment == ON_RISE_OR_FALL:
        move = np.abs(move)
    return np.asarray(move >= threshold)
