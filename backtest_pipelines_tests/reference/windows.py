"""When positions are held: windows between expiries, cut to phases, divided by re-entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise

from backtest_pipelines_tests.reference.view import View

Phase = tuple[date, date]


@dataclass(frozen=True)
class Window:
    """Sessions from entry to exit, between two consecutive option expiries.

    Without sessions where one of the two expiries is `not_a_session`.
    """

    sessions: list[date]
    previous_expiry: date
    expiry: date
    not_a_session: date | None = None


def windows(view: View, sessions_before: int) -> list[Window]:
    """Return every window that lies wholly inside the view."""
    found: list[Window] = []
    if not view.sessions:
        return found
    first, last = view.sessions[0], view.sessions[-1]
    for previous, expiry in pairwise(view.option_expiries):
        if previous < first or expiry > last:
            continue
        absent = [day for day in (previous, expiry) if day not in view.sessions]
        if absent:
            found.append(Window([], previous, expiry, not_a_session=absent[0]))
            continue
        entry = view.sessions.index(previous) - sessions_before
        exit_ = view.sessions.index(expiry) - sessions_before
        if entry >= 0:
            found.append(Window(view.sessions[entry : exit_ + 1], previous, expiry))
    return found


def pieces(sessions: list[date], phases: Sequence[Phase]) -> list[list[date]]:
    """Cut a window to the phases: the runs of its sessions that lie in any of them."""
    if not phases:
        return [sessions]
    runs: list[list[date]] = [[]]
    for session in sessions:
        if any(start <= session <= end for start, end in phases):
            runs[-1].append(session)
        else:
            runs.append([])
    return [run for run in runs if run]


def first_days(view: View, phases: Sequence[Phase], from_date: date | None) -> set[date]:
    """Return the first session of each phase that begins inside the view."""
    found = set()
    for start, end in phases:
        inside = [session for session in view.sessions if start <= session <= end]
        if inside and start >= (from_date or view.sessions[0]):
            found.add(inside[0])
    return found


def positions(
    piece: list[date], index_close: dict[date, Decimal], adjustment_type: int, threshold: Decimal
) -> list[tuple[date, date]]:
    """Return entry and exit session of each position held within a piece."""
    if adjustment_type == 0:
        return [(piece[0], piece[-1])]
    held = []
    entry = piece[0]
    for session in piece[1:]:
        is_last = session == piece[-1]
        if is_last or is_triggered(adjustment_type, threshold, index_close[entry], index_close[session]):
            held.append((entry, session))
            entry = session
    return held


def is_triggered(adjustment_type: int, threshold: Decimal, entry: Decimal, close: Decimal) -> bool:
    """Whether the move from `entry` to `close` reaches the threshold, in percent of `entry`."""
    move_times_entry = 100 * (close - entry)  # no division: decimal arithmetic stays exact
    rose = move_times_entry >= threshold * entry
    fell = move_times_entry <= -threshold * entry
    return {1: rose, 2: fell, 3: rose or fell}[adjustment_type]
