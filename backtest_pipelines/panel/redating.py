"""Contracts whose expiry date the exchange changed during their life, found by comparing neighbouring sessions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from backtest_pipelines.panel.keys import Int64Array

MAX_MOVE_DAYS = 6
"""Weeklies are seven days apart: a nearer date that appears as another vanishes is the same contract."""

MIN_SHARED_FRAC = 0.5
"""Share of the vanished date's contracts that must stand again under the new date."""


def redated_expiries(
    session: int,
    listed_before: Sequence[int],
    listed: Sequence[int],
    contracts_before: Callable[[int], Int64Array],
    contracts: Callable[[int], Int64Array],
) -> list[tuple[int, int]]:
    """Return the (old, new) expiry dates that were changed with effect from a session.

    Parameters
    ----------
    session : int
        Days since 1970-01-01.
    listed_before, listed : sequence of int
        Expiry dates listed on the previous session and on this one.
    contracts_before, contracts : callable
        Contracts (instrument and strike in one integer) of an expiry date on the previous session and on this one.

    Notes
    -----
    An unexpired date that vanishes was re-dated to a date that appears at most six days from it, the nearest first,
    with at least half of its contracts. New series begin a week or more after the last, so they are not taken for one.
    """
    appeared = set(listed) - set(listed_before)
    if not appeared:
        return []
    moves = []
    for old in listed_before:
        if old < session or old in listed:
            continue
        near = sorted((abs(new - old), new) for new in appeared if abs(new - old) <= MAX_MOVE_DAYS)
        for _, new in near:
            had = contracts_before(old)
            shared = np.intersect1d(had, contracts(new), assume_unique=True)
            if shared.size >= MIN_SHARED_FRAC * had.size:
                moves.append((old, new))
                break
    return moves
