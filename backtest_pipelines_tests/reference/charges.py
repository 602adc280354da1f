"""Charges of one lot: two orders at entry, two (or one, where the option is exercised) at exit."""

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal

from backtest_pipelines_tests.reference import tables
from backtest_pipelines_tests.reference.tables import rate_on


def trade_charges_inr(
    entry_date: date,
    exit_date: date,
    call_prices: tuple[Decimal, Decimal | None],
    future_prices: tuple[Decimal, Decimal],
    lot: int,
    brokerage_inr: Decimal,
) -> Decimal:
    """Return INR per lot, rounded once. A call without an exit price had no order at exit."""
    call_entry, call_exit = call_prices
    future_entry, future_exit = future_prices
    total = _option_order(entry_date, call_entry * lot, brokerage_inr, is_sale=True)
    total += _future_order(entry_date, future_entry * lot, brokerage_inr, is_sale=False)
    total += _future_order(exit_date, future_exit * lot, brokerage_inr, is_sale=True)
    if call_exit is not None:
        total += _option_order(exit_date, call_exit * lot, brokerage_inr, is_sale=False)
    return total.quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def _option_order(day: date, turnover: Decimal, brokerage: Decimal, *, is_sale: bool) -> Decimal:
    exchange_fee = turnover * rate_on(tables.EXCHANGE_FEE_OPTION, day)
    ipft = turnover * rate_on(tables.IPFT_OPTION, day)
    tax = turnover * rate_on(tables.STT_OPTION_SOLD if is_sale else tables.STAMP_DUTY_OPTION_BOUGHT, day)
    return tax + ipft + _fees_with_gst(day, turnover, exchange_fee, brokerage)


def _future_order(day: date, turnover: Decimal, brokerage: Decimal, *, is_sale: bool) -> Decimal:
    exchange_fee = turnover * rate_on(tables.EXCHANGE_FEE_FUTURE, day)
    ipft = turnover * rate_on(tables.IPFT_FUTURE, day)
    tax = turnover * rate_on(tables.STT_FUTURE_SOLD if is_sale else tables.STAMP_DUTY_FUTURE_BOUGHT, day)
    return tax + ipft + _fees_with_gst(day, turnover, exchange_fee, brokerage)


def _fees_with_gst(day: date, turnover: Decimal, exchange_fee: Decimal, brokerage: Decimal) -> Decimal:
    sebi_fee = turnover * rate_on(tables.SEBI_FEE, day)
    taxed = brokerage + exchange_fee
    if day >= tables.GST_ON_SEBI_FEE_FROM:
        taxed += sebi_fee
    return brokerage + exchange_fee + sebi_fee + tables.GST * taxed
