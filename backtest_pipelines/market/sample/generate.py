"""Writing a whole sample market.

What belongs here is the order of work and the checks of the request.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.market.sample import calendar, files, prices
from backtest_pipelines.market.sample.trading import Market


@dataclass(frozen=True)
class SampleSummary:
    """What was written.

    Attributes
    ----------
    sessions, files : int
        Sessions of the market and files in the folder (two a session).
    rows : int
        Rows of all bhavcopies, headers not counted.
    """

    sessions: int
    files: int
    rows: int


def write_sample_market(
    folder: Path,
    *,
    seed: int = 20240501,
    first: date = calendar.FIRST_DAY,
    last: date = calendar.LAST_DAY,
    on_session: Callable[[date, int, int], None] | None = None,
) -> SampleSummary:
    """Write invented daily files in the exchange's own formats.

    Every price is invented; sessions, expiries, lot sizes and formats are the exchange's. For each session a
    bhavcopy (legacy to 5 July 2024, UDiFF after) and a file of index closes are written. The same seed and
    dates give the same bytes, and a later `last` only adds files.

    Parameters
    ----------
    folder : Path
        New or empty.
    seed : int, default 20240501
        Zero or more.
    first, last : date
        Both included, within 1 May 2024 to 31 October 2025 (the defaults).
    on_session : callable, optional
        Called after each session with its date, its number counted from 1, and the number of all.

    Returns
    -------
    SampleSummary
        Sessions, files and rows written.

    Raises
    ------
    BadRequestError
        The folder is no folder or holds something, the seed is negative, or the dates are outside the sample
        or without a session.
    UnavailableError
        A file cannot be written.
    """
    if seed < 0:
        raise BadRequestError("seed", seed, "it must be zero or more")
    if not calendar.FIRST_DAY <= first <= last <= calendar.LAST_DAY:
        limit = f"give two dates in order from {calendar.FIRST_DAY} to {calendar.LAST_DAY}"
        raise BadRequestError("first, last", f"{first}, {last}", limit)
    sessions = calendar.sessions(first, last)
    if not sessions:
        raise BadRequestError("first, last", f"{first}, {last}", "no session lies between them; widen the dates")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadRequestError("FOLDER", str(folder), "it must be a new or an empty folder; name another one")

    eve = calendar.FIRST_DAY - timedelta(1)
    paths = prices.simulate_paths(seed, [eve, *calendar.sessions(calendar.FIRST_DAY, last)])
    market = Market(seed, paths)
    rows = 0
    for number, session in enumerate(sessions, start=1):
        position = len(paths.days) - len(sessions) + number - 1
        bhavcopy = market.trade(position)
        files.write_bhavcopy(folder, bhavcopy)
        files.write_index_closes(folder, paths, position)
        rows += len(bhavcopy.token)
        if on_session is not None:
            on_session(session, number, len(sessions))
    return SampleSummary(sessions=len(sessions), files=2 * len(sessions), rows=rows)
