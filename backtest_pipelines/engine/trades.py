"""The trades of a backtest as parallel arrays."""

from __future__ import annotations

from dataclasses import dataclass

from backtest_pipelines.engine.notices import Notices
from backtest_pipelines.panel.keys import Int32Array, Int64Array
from backtest_pipelines.strategies.variants import Leg

UNKNOWN_PAISE = -1


@dataclass(frozen=True, slots=True, eq=False)
class LegTrades:
    """One leg of n trades.

    Attributes
    ----------
    leg : Leg
    expiry : int32[n]
        Final expiry, days since 1970-01-01.
    strike_paise : int64[n]
        0 for a future.
    entry_row, exit_row : int64[n]
        Rows of the quote table; exit_row is -1 where the exit price is intrinsic value.
    entry_price_paise, exit_price_paise, pnl_paise : int64[n]
        P&L is positive for a gain, whatever the side.
    """

    leg: Leg
    expiry: Int32Array
    strike_paise: Int64Array
    entry_row: Int64Array
    exit_row: Int64Array
    entry_price_paise: Int64Array
    exit_price_paise: Int64Array
    pnl_paise: Int64Array


@dataclass(frozen=True, slots=True, eq=False)
class Trades:
    """n trades in order of entry.

    Attributes
    ----------
    entry_position, exit_position : int64[n]
        Positions in the view's sessions.
    entry_date, exit_date : int32[n]
        Days since 1970-01-01.
    entry_spot_paise, exit_spot_paise : int64[n]
    legs : tuple of LegTrades
    net_pnl_paise : int64[n]
        Per unit.
    entry_turnover_paise, exit_turnover_paise : int64[n]
        Of the option leg; -1 where unknown.
    lot_size : int32[n]
        Of the option leg; 0 where unknown.
    charges_paise : int64[n] or None
        Per lot; None where no costs were asked for.
    """

    entry_position: Int64Array
    exit_position: Int64Array
    entry_date: Int32Array
    exit_date: Int32Array
    entry_spot_paise: Int64Array
    exit_spot_paise: Int64Array
    legs: tuple[LegTrades, ...]
    net_pnl_paise: Int64Array
    entry_turnover_paise: Int64Array
    exit_turnover_paise: Int64Array
    lot_size: Int32Array
    charges_paise: Int64Array | None

    def __len__(self) -> int:
        return len(self.entry_position)


@dataclass(frozen=True, slots=True, eq=False)
class Backtest:
    """What the engine answers: trades, and the notices of those skipped or doubtful."""

    trades: Trades
    notices: Notices
