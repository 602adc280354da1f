"""Contracts of a leg: expiry, strike, rows and prices at entry and exit, and the notices of what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest_pipelines.engine.notices import NoticeKind, Notices
from backtest_pipelines.engine.trades import LegTrades
from backtest_pipelines.panel.chains import HUNDRED_INR_PAISE
from backtest_pipelines.panel.keys import BoolArray, Int32Array, Int64Array
from backtest_pipelines.panel.view import MarketView
from backtest_pipelines.strategies.parameters import WHOLE_UNITS, percent_units
from backtest_pipelines.strategies.question import Question
from backtest_pipelines.strategies.variants import ExpiryRule, Instrument, Leg, Side

STRIKE_DIVISOR = WHOLE_UNITS * HUNDRED_INR_PAISE


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """n trades that may be made; positions in the view's sessions, dates in days since 1970-01-01."""

    entry_position: Int64Array
    exit_position: Int64Array
    entry_date: Int32Array
    exit_date: Int32Array
    entry_spot_paise: Int64Array
    exit_spot_paise: Int64Array
    expiry: Int32Array
    takes_second_month: BoolArray


def leg_trades(
    view: MarketView, question: Question, leg: Leg, trades: Candidates, notices: Notices
) -> tuple[LegTrades, BoolArray]:
    """Return the leg's contracts and prices, and which of the trades can be made as far as this leg goes."""
    expiry, is_listed = _expiries(view, leg, trades)
    entry, leave = trades.entry_date, trades.exit_date
    notices.add_trades(NoticeKind.NO_FUTURE_EXPIRY, ~is_listed, trades, leg, day=entry)
    if leg.strike_parameter is None:
        strike = np.zeros(expiry.size, np.int64)
        # One look-up for both days: half the calls on arrays that are short.
        both_days, twice = np.concatenate([entry, leave]), np.concatenate([expiry, expiry])
        rows = view.rows(leg.instrument.value, both_days, twice, np.zeros(twice.size, np.int64))
        entry_row, exit_row = rows[: entry.size], rows[entry.size :]
        is_found = entry_row >= 0
        is_chosen, kind = is_listed, NoticeKind.CONTRACT_MISSING_AT_ENTRY
    else:
        position_units = percent_units(question.parameters[leg.strike_parameter])
        target = strike_targets(trades.entry_spot_paise, position_units)
        entry_row = view.nearest_strikes(leg.instrument.value, entry, expiry, target, above=position_units >= 0)
        is_found = entry_row >= 0
        strike = np.where(is_found, view.strike_paise(entry_row), target)
        exit_row = view.rows(leg.instrument.value, leave, expiry, strike)
        is_chosen, kind = is_found, NoticeKind.NO_TRADABLE_STRIKE
    missing = is_listed & ~is_found
    notices.add_trades(kind, missing, trades, leg, day=entry, expiry=expiry, strike_paise=strike)
    is_intrinsic = (
        leave == expiry
        if question.exit_at_expiry == "intrinsic" and leg.instrument is not Instrument.FUTURE
        else np.zeros(expiry.size, bool)
    )
    has_exit = (exit_row >= 0) | is_intrinsic
    # A future that is absent on both days is missing on both; an option without a strike has no contract to miss.
    missing, kind = is_chosen & ~has_exit, NoticeKind.CONTRACT_MISSING_AT_EXIT
    notices.add_trades(kind, missing, trades, leg, day=leave, expiry=expiry, strike_paise=strike)
    is_made = is_listed & is_found & has_exit
    entry_price, exit_price = view.close_paise(entry_row), view.close_paise(exit_row)
    if is_intrinsic.any():
        sign = -1 if leg.instrument is Instrument.PUT else 1
        intrinsic = np.maximum(0, sign * (trades.exit_spot_paise - strike))
        exit_price = np.where(is_intrinsic, intrinsic, exit_price)
        exit_row = np.where(is_intrinsic, -1, exit_row)
    pnl = exit_price - entry_price if leg.side is Side.BUY else entry_price - exit_price
    return LegTrades(leg, expiry, strike, entry_row, exit_row, entry_price, exit_price, pnl), is_made


def strike_targets(spot_paise: Int64Array, position_units: int) -> Int64Array:
    """Return the wanted strikes in paise: spot moved by a percentage, rounded to the hundred INR.

    Parameters
    ----------
    spot_paise : int64[n]
    position_units : int
        Ten-thousandths of a percent. Exact halves go to the even hundred; all terms are whole numbers.
    """
    twice = spot_paise * (2 * (WHOLE_UNITS + position_units))
    hundreds, rest = np.divmod(twice + STRIKE_DIVISOR, 2 * STRIKE_DIVISOR)
    # Halves were rounded up: those that ended on an odd hundred go back to the even one below.
    hundreds -= (rest == 0) & (hundreds & 1 == 1)
    return np.asarray(hundreds * HUNDRED_INR_PAISE)


def _expiries(view: MarketView, leg: Leg, trades: Candidates) -> tuple[Int32Array, BoolArray]:
    if leg.expiry is ExpiryRule.CURRENT:
        return trades.expiry, np.ones(trades.expiry.size, bool)
    months = view.monthly_expiries
    if months.size == 0:
        return trades.expiry, np.zeros(trades.expiry.size, bool)
    number = months.searchsorted(trades.expiry)
    if trades.takes_second_month.any():
        second = months.searchsorted(trades.entry_date, "right") + 1
        number = np.where(trades.takes_second_month, second, number)
    is_listed = number < months.size
    return months[np.minimum(number, months.size - 1)], is_listed
