"""Open P&L of each trade on each session that it is held, marked at the closes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest_pipelines.engine.notices import NoticeKind, Notices
from backtest_pipelines.engine.trades import LegTrades, Trades
from backtest_pipelines.panel.keys import Int64Array
from backtest_pipelines.panel.view import MarketView
from backtest_pipelines.strategies.variants import Instrument


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Marks of n trades.

    Attributes
    ----------
    offset : int64[n + 1]
        Trade i has the elements offset[i] to offset[i + 1], one for each session from entry to exit.
    pnl_paise : int64[offset[n]]
        Open P&L per unit: 0 at entry, the trade's net P&L at exit.
    """

    offset: Int64Array
    pnl_paise: Int64Array


def marks(view: MarketView, trades: Trades, notices: Notices) -> Marks:
    """Mark the trades at each close, stale ones included.

    Where a held contract has no row on a session its last mark is carried, with a notice.
    """
    length = trades.exit_position - trades.entry_position + 1
    offset = np.zeros(length.size + 1, np.int64)
    np.cumsum(length, out=offset[1:])
    trade = np.repeat(np.arange(length.size), length)
    position = np.arange(trade.size) - offset[trade] + trades.entry_position[trade]
    is_inner = np.ones(trade.size, bool)
    is_inner[offset[:-1]] = is_inner[offset[1:] - 1] = False
    inner = np.flatnonzero(is_inner)
    pnl = np.zeros(trade.size, np.int64)
    for leg in trades.legs:
        price = leg.entry_price_paise[trade]
        price[offset[1:] - 1] = leg.exit_price_paise
        held = trade[inner]
        row = view.rows(
            leg.leg.instrument.value, view.session[position[inner]], leg.expiry[held], leg.strike_paise[held]
        )
        price[inner] = view.quotes.close_paise[row]
        missing = inner[row < 0]
        if missing.size:
            source = np.arange(trade.size)
            source[missing] = 0
            price = price[np.maximum.accumulate(source)]
            _note(view, trades, leg, trade[missing], position[missing], notices)
        pnl += leg.leg.side.value * (price - leg.entry_price_paise[trade])
    return Marks(offset, pnl)


def _note(
    view: MarketView,
    trades: Trades,
    leg: LegTrades,
    trade: Int64Array,
    position: Int64Array,
    notices: Notices,
) -> None:
    notices.add(
        NoticeKind.MARK_CARRIED,
        day=view.session[position],
        leg=leg.leg.name,
        entry=trades.entry_date[trade],
        leave=trades.exit_date[trade],
        expiry=leg.expiry[trade],
        strike_paise=None if leg.leg.instrument is Instrument.FUTURE else leg.strike_paise[trade],
    )
