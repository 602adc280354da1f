"""The windows of a question: from entry to exit by the timing rule, cut to the trading phases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest_pipelines.engine.notices import NoticeKind, Notices
from backtest_pipelines.market.units import day_number
from backtest_pipelines.panel.keys import BoolArray, Int32Array, Int64Array
from backtest_pipelines.panel.view import MarketView
from backtest_pipelines.strategies.question import Phase

PLANS_KEPT = 256
"""Most combinations of timing rule and phases of which one view keeps the windows."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Spans of sessions in which one expiry is traded; n spans in order of time, each of two sessions or more.

    Attributes
    ----------
    start, end : int64[n]
        Positions in the view's sessions, both included.
    expiry : int32[n]
        The current expiry.
    begins_phase : bool[n]
        The first session is the first day of a trading phase.
    lacks_weekly : bool[n]
        Both expiries of the window are monthly ones: no weekly is listed between them.
    notices : Notices
        Of the windows that could not be opened.
    """

    start: Int64Array
    end: Int64Array
    expiry: Int32Array
    begins_phase: BoolArray
    lacks_weekly: BoolArray
    notices: Notices

    def subset(self, kept: BoolArray) -> Windows:
        """Return the windows chosen by a mask."""
        return Windows(
            self.start[kept],
            self.end[kept],
            self.expiry[kept],
            self.begins_phase[kept],
            self.lacks_weekly[kept],
            self.notices,
        )


def windows(view: MarketView, sessions_before_expiry: int, phases: tuple[Phase, ...]) -> Windows:
    """Return the windows of a timing rule; those of one view, rule and phases are computed once.

    Parameters
    ----------
    view : MarketView
    sessions_before_expiry : int
        Entry and exit are this many sessions before the previous and the current expiry.
    phases : tuple of Phase
        Sorted; empty for no cut.
    """
    key = (sessions_before_expiry, phases)
    found = view.plans.get(key)
    if not isinstance(found, Windows):
        found = _cut_to_phases(view, *_whole_windows(view, sessions_before_expiry), phases)
        if len(view.plans) >= PLANS_KEPT:
            view.plans.clear()
        view.plans[key] = found
    return found


def _whole_windows(view: MarketView, before: int) -> tuple[Int64Array, Int64Array, Int64Array, Notices]:
    """Return entry and exit positions and the number of the current expiry of each window, and the notices."""
    inside = np.flatnonzero((view.expiries >= view.session[0]) & (view.expiries <= view.session[-1]))
    day = view.expiries[inside]
    position = np.searchsorted(view.session, day).astype(np.int64)
    is_reached = view.session[position] == day
    opens = is_reached[:-1] & is_reached[1:]
    notices = Notices()
    failing = np.flatnonzero(~opens)
    notices.add(
        NoticeKind.EXPIRY_NOT_A_SESSION,
        expiry=day[1:][failing],
        day=np.where(is_reached[:-1], day[1:], day[:-1])[failing],
    )
    entry, leave = position[:-1] - before, position[1:] - before
    opens &= entry >= 0
    return entry[opens], leave[opens], inside[1:][opens], notices


def _cut_to_phases(
    view: MarketView,
    entry: Int64Array,
    leave: Int64Array,
    number: Int64Array,
    notices: Notices,
    phases: tuple[Phase, ...],
) -> Windows:
    begins = np.zeros(view.session.size, bool)
    if phases:
        bounds = np.array([[day_number(phase.start), day_number(phase.end)] for phase in phases])
        low = np.searchsorted(view.session, bounds[:, 0])
        high = np.searchsorted(view.session, bounds[:, 1], side="right") - 1
        is_traded = low <= high
        begins[low[is_traded & (bounds[:, 0] >= view.starts_at)]] = True
        run_start, run_end = _runs(low[is_traded], high[is_traded])
        first = np.searchsorted(run_end, entry)
        last = np.searchsorted(run_start, leave, side="right") - 1
        count = np.maximum(last - first + 1, 0)
        window = np.repeat(np.arange(entry.size), count)
        run = np.repeat(first - np.cumsum(count) + count, count) + np.arange(window.size)
        entry = np.maximum(entry[window], run_start[run])
        leave = np.minimum(leave[window], run_end[run])
        number = number[window]
        is_short = entry == leave
        days = view.session[entry[is_short]]
        notices.add(
            NoticeKind.WINDOW_TOO_SHORT,
            entry=days,
            leave=days,
            expiry=view.expiries[number[is_short]],
            day=days,
        )
        entry, leave, number = entry[~is_short], leave[~is_short], number[~is_short]
    is_monthly = np.isin(view.expiries, view.monthly_expiries)
    return Windows(
        start=entry,
        end=leave,
        expiry=view.expiries[number],
        begins_phase=begins[entry],
        lacks_weekly=is_monthly[number] & is_monthly[number - 1],
        notices=notices,
    )


def _runs(low: Int64Array, high: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Join phases that have no session between them; they do not divide a window."""
    divides = low[1:] > high[:-1] + 1
    return low[np.concatenate([[True], divides])[: low.size]], high[np.concatenate([divides, [True]])[: high.size]]
