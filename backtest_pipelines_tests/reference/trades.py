"""One trade: prices, profit and loss, lot and charges, and the notices of a trade that was made."""

from datetime import date
from decimal import Decimal

from backtest_pipelines_tests.reference.charges import trade_charges_inr
from backtest_pipelines_tests.reference.legs import call_leg, future_leg
from backtest_pipelines_tests.reference.market import Quote
from backtest_pipelines_tests.reference.notices import Row
from backtest_pipelines_tests.reference.question import Question
from backtest_pipelines_tests.reference.tables import lot_by_expiry
from backtest_pipelines_tests.reference.view import View


def trade(
    view: View, question: Question, expiry: date, entry: date, exit_: date, *, is_phase_start: bool
) -> tuple[Row | None, list[Row]]:
    """Return the trade between two sessions, None where a leg could not be traded, and its notices."""
    is_intrinsic = question.exit_at_expiry == "intrinsic" and exit_ == expiry
    call = call_leg(view, question.call_sell_position, expiry, entry, exit_, is_intrinsic=is_intrinsic)
    future = future_leg(view, expiry, entry, exit_, is_phase_start=is_phase_start)
    notices = call.problems + future.problems
    if call.entry is None or future.entry is None or future.exit is None or notices:
        return None, notices

    for leg in (call, future):
        if leg.exit is not None and leg.exit.contracts == 0:
            notices.append(leg.note("stale_close_at_exit", day=exit_))
    lot = _lot(view, call.entry, call.expiry)
    future_lot = _lot(view, future.entry, future.expiry)
    if lot is None:
        notices.append(call.note("lot_size_unknown", day=entry))
    elif future_lot is not None and future_lot != lot:
        notices.append(future.note("lot_size_differs", day=entry))

    exit_spot = view.index_close[exit_]
    intrinsic = max(Decimal(0), exit_spot - call.entry.strike)
    call_exit_price = intrinsic if call.exit is None else call.exit.close
    call_pnl = call.entry.close - call_exit_price
    future_pnl = future.exit.close - future.entry.close
    net_pnl = call_pnl + future_pnl
    row: Row = {
        "entry_date": entry,
        "exit_date": exit_,
        "entry_spot": view.index_close[entry],
        "exit_spot": exit_spot,
        "call_expiry": expiry,
        "call_strike": call.entry.strike,
        "call_entry_price": call.entry.close,
        "call_exit_price": call_exit_price,
        "call_pnl": call_pnl,
        "future_expiry": future.expiry,
        "future_entry_price": future.entry.close,
        "future_exit_price": future.exit.close,
        "future_pnl": future_pnl,
        "net_pnl": net_pnl,
        "call_entry_turnover_inr": call.entry.turnover_inr,
        "call_exit_turnover_inr": None if call.exit is None else call.exit.turnover_inr,
        "lot_size": lot,
        "net_pnl_inr_per_lot": None if lot is None else net_pnl * lot,
    }
    if question.brokerage_inr_per_order is not None:
        row["charges_inr_per_lot"] = row["net_after_charges_inr_per_lot"] = None
        if lot is not None:
            charges = trade_charges_inr(
                entry,
                exit_,
                (call.entry.close, None if call.exit is None else call.exit.close),
                (future.entry.close, future.exit.close),
                lot,
                question.brokerage_inr_per_order,
            )
            row["charges_inr_per_lot"] = charges
            row["net_after_charges_inr_per_lot"] = net_pnl * lot - charges
    return row, notices


def _lot(view: View, quote: Quote, expiry: date | None) -> int | None:
    if quote.lot_size:
        return quote.lot_size
    if expiry is None:
        return None
    return lot_by_expiry(quote.symbol, expiry, is_monthly=expiry in view.monthly_expiries)
