"""Charges of a trade, per lot, in whole paise: taxes, fees and brokerage at the rates of each trade date."""

from __future__ import annotations

from decimal import Decimal

import numpy as np

from backtest_pipelines.engine.trades import LegTrades
from backtest_pipelines.market.rules import charge_rates
from backtest_pipelines.panel.keys import Int32Array, Int64Array
from backtest_pipelines.strategies.variants import Instrument, Side

RATE_SCALE = 100_000_000
GST_SCALE = 100_000_000


def charges_paise(
    legs: tuple[LegTrades, ...],
    entry_date: Int32Array,
    exit_date: Int32Array,
    lot_size: Int32Array,
    brokerage_inr_per_order: Decimal,
) -> Int64Array:
    """Return the charges of n trades, per lot.

    Parameters
    ----------
    legs : tuple of LegTrades
    entry_date, exit_date : int32[n]
    lot_size : int32[n]
    brokerage_inr_per_order : Decimal
        In whole paise. GST comes on top.

    Returns
    -------
    int64[n]
        Paise; the exact sum of a trade rounded once, halves to the even paisa.

    Notes
    -----
    An option left at intrinsic value is settled by the exchange: no order and no charge at exit. A short option
    that expires in the money pays no securities transaction tax; the exercising buyer does.
    """
    brokerage = int(brokerage_inr_per_order * 100) * RATE_SCALE
    # Two scales multiply below, each 10^8; Python's integers hold them exactly where int64 could overflow.
    total = np.zeros(entry_date.size, object)
    for leg in legs:
        opens_by_selling = leg.leg.side is Side.SELL
        entry_turnover = leg.entry_price_paise * lot_size
        exit_turnover = leg.exit_price_paise * lot_size
        total += _order(leg, entry_date, entry_turnover, brokerage, is_sale=opens_by_selling)
        is_order = leg.exit_row >= 0
        total += np.where(is_order, _order(leg, exit_date, exit_turnover, brokerage, is_sale=not opens_by_selling), 0)
    return np.array([_half_even(int(exact), RATE_SCALE * GST_SCALE) for exact in total], np.int64)


def _order(
    leg: LegTrades, day: Int32Array, turnover_paise: Int64Array, brokerage: int, *, is_sale: bool
) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """Return the charges of an order in paise x 10^16."""
    kind = "future" if leg.leg.instrument is Instrument.FUTURE else "option"
    turnover = turnover_paise.astype(object)
    exchange_fee = turnover * charge_rates(f"exchange_fee_{kind}", day)
    sebi_fee = turnover * charge_rates("sebi_fee", day)
    duty = charge_rates(f"stt_{kind}_sold" if is_sale else f"stamp_duty_{kind}_bought", day)
    levies = turnover * (duty + charge_rates(f"ipft_{kind}", day))
    gst = (brokerage + exchange_fee) * charge_rates("gst_brokerage_and_exchange_fee", day)
    gst = gst + sebi_fee * charge_rates("gst_sebi_fee", day)
    charges: np.ndarray[tuple[int], np.dtype[np.object_]] = (
        brokerage + exchange_fee + sebi_fee + levies
    ) * GST_SCALE + gst
    return charges


def _half_even(value: int, divisor: int) -> int:
    quotient, rest = divmod(value, divisor)
    return quotient + (2 * rest > divisor or (2 * rest == divisor and quotient % 2 == 1))
