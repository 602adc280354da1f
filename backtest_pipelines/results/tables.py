"""The engine's arrays as Arrow tables: the columns that users see, with prices in INR."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from backtest_pipelines.analytics.equity import EquityCurve
from backtest_pipelines.arrow import arrow_array, text_array
from backtest_pipelines.engine.notices import KINDS, NO_DAY, NO_STRIKE, NoticeTable
from backtest_pipelines.engine.trades import UNKNOWN_PAISE, LegTrades, Trades
from backtest_pipelines.market.rules import LOT_UNKNOWN
from backtest_pipelines.market.units import PAISE_PER_INR
from backtest_pipelines.panel.keys import BoolArray
from backtest_pipelines.strategies.variants import Instrument

Array: TypeAlias = npt.NDArray[Any]


def trade_table(trades: Trades) -> pa.Table:
    """Return one row a trade: dates as date32, prices as float64 INR per unit, then turnover and figures per lot.

    A float64 holds every whole number of paise below 10^13 INR to the paisa.
    """
    columns: dict[str, pa.Array] = {
        "entry_date": _dates(trades.entry_date),
        "exit_date": _dates(trades.exit_date),
        "entry_spot": _inr(trades.entry_spot_paise),
        "exit_spot": _inr(trades.exit_spot_paise),
    }
    for leg in sorted(trades.legs, key=lambda leg: leg.leg.instrument is Instrument.FUTURE):
        columns |= _leg_columns(leg)
    lot = trades.lot_size.astype(np.int64)
    has_lot = lot != LOT_UNKNOWN
    net_per_lot = trades.net_pnl_paise * lot
    columns |= {
        "net_pnl": _inr(trades.net_pnl_paise),
        "call_entry_turnover_inr": _inr(trades.entry_turnover_paise, trades.entry_turnover_paise != UNKNOWN_PAISE),
        "call_exit_turnover_inr": _inr(trades.exit_turnover_paise, trades.exit_turnover_paise != UNKNOWN_PAISE),
        "lot_size": arrow_array(trades.lot_size, has_lot),
        "net_pnl_inr_per_lot": _inr(net_per_lot, has_lot),
    }
    if trades.charges_paise is not None:
        columns |= {
            "charges_inr_per_lot": _inr(trades.charges_paise, has_lot),
            "net_after_charges_inr_per_lot": _inr(net_per_lot - trades.charges_paise, has_lot),
        }
    return pa.table(columns)


def notice_table(notices: NoticeTable) -> pa.Table:
    """Return one row a notice: kind, leg, dates, strike in INR and a sentence."""
    kinds = [KINDS[number] for number in notices.kind.tolist()]
    return pa.table(
        {
            "kind": text_array([kind.value for kind in kinds]),
            "leg": text_array(notices.leg),
            "entry_date": _dates(notices.entry, notices.entry != NO_DAY),
            "exit_date": _dates(notices.leave, notices.leave != NO_DAY),
            "expiry": _dates(notices.expiry, notices.expiry != NO_DAY),
            "strike": _inr(notices.strike_paise, notices.strike_paise != NO_STRIKE),
            "date": _dates(notices.day, notices.day != NO_DAY),
            "detail": text_array([kind.sentence for kind in kinds]),
        }
    )


def equity_table(curve: EquityCurve) -> pa.Table:
    """Return one row a session of the backtest."""
    return pa.table(
        {
            "session": _dates(curve.session),
            "equity_points": arrow_array(curve.equity_points),
            "booked_points": arrow_array(curve.booked_points),
            "is_held": arrow_array(curve.is_held),
        }
    )


def equity_of(table: pa.Table) -> EquityCurve:
    """Return the curve that `equity_table` wrote."""
    columns = {name: table.column(name).to_numpy() for name in ("equity_points", "booked_points", "is_held")}
    return EquityCurve(session=pc.cast(table.column("session"), pa.int32()).to_numpy(), **columns)


def _leg_columns(leg: LegTrades) -> dict[str, pa.Array]:
    name = leg.leg.name
    strike = {} if leg.leg.instrument is Instrument.FUTURE else {f"{name}_strike": _inr(leg.strike_paise)}
    return {
        f"{name}_expiry": _dates(leg.expiry),
        **strike,
        f"{name}_entry_price": _inr(leg.entry_price_paise),
        f"{name}_exit_price": _inr(leg.exit_price_paise),
        f"{name}_pnl": _inr(leg.pnl_paise),
    }


def _dates(days: Array, known: BoolArray | None = None) -> pa.Array:
    return arrow_array(days.astype(np.int32), known).view(pa.date32())


def _inr(paise: Array, known: BoolArray | None = None) -> pa.Array:
    return arrow_array(paise / PAISE_PER_INR, known)
