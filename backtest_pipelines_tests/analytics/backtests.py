"""Backtests written as a few trades, and hypothesis strategies for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from backtest_pipelines.analytics.equity import EquityCurve, equity_curve
from backtest_pipelines.analytics.statistics import Value, statistics

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()

Trade = tuple[int, list[int]]
"""Index of the entry's session, marks in paise from entry to exit."""


def days(iso_date: str) -> int:
    return date.fromisoformat(iso_date).toordinal() - EPOCH_ORDINAL


@dataclass(frozen=True)
class Backtest:
    session: npt.NDArray[np.int32]
    trades: list[Trade]
    first_spot_paise: int

    @property
    def entry_index(self) -> npt.NDArray[np.int64]:
        return np.array([entry for entry, _ in self.trades], np.int64)

    @property
    def exit_index(self) -> npt.NDArray[np.int64]:
        return np.array([entry + len(marks) - 1 for entry, marks in self.trades], np.int64)

    @property
    def net_pnl_paise(self) -> npt.NDArray[np.int64]:
        return np.array([marks[-1] for _, marks in self.trades], np.int64)

    def curve(self) -> EquityCurve:
        return equity_curve(
            self.session,
            self.entry_index,
            self.exit_index,
            np.cumsum([0] + [len(marks) for _, marks in self.trades], dtype=np.int64),
            np.array([mark for _, marks in self.trades for mark in marks], np.int64),
            self.first_spot_paise,
        )

    def statistics(self, *, lot_size: int | list[int] | None = None, risk_free_frac: float = 0.0) -> dict[str, Value]:
        """Return the statistics; one lot size stands for that of every trade."""
        lots = [lot_size] * len(self.trades) if isinstance(lot_size, int) else lot_size
        return statistics(
            entry_date=self.session[self.entry_index],
            exit_date=self.session[self.exit_index],
            net_pnl_paise=self.net_pnl_paise,
            curve=self.curve(),
            lot_size=None if lots is None else np.array(lots, np.int32),
            risk_free_frac=risk_free_frac,
        )


def backtest(*trades: Trade, first_spot_paise: int = 100_00, sessions: int = 10) -> Backtest:
    """One session a day from 2024-01-01 on."""
    start = days("2024-01-01")
    return Backtest(np.arange(start, start + sessions, dtype=np.int32), list(trades), first_spot_paise)


@st.composite
def backtests(draw: st.DrawFn, *, largest_mark_paise: int = 10**7, least_spot_paise: int = 1) -> Backtest:
    mark = st.integers(-largest_mark_paise, largest_mark_paise)
    trades: list[Trade] = []
    index = draw(st.integers(0, 3))
    for gap, marks in draw(st.lists(st.tuples(st.integers(0, 3), st.lists(mark, min_size=1, max_size=6)), max_size=12)):
        trades.append((index + gap, [0, *marks]))
        index += gap + len(marks)
    step = draw(st.lists(st.integers(1, 40), min_size=index + 2, max_size=index + 2))
    session = np.cumsum([draw(st.integers(-3000, 20000)), *step]).astype(np.int32)
    return Backtest(session, trades, draw(st.integers(least_spot_paise, 10**7)))
