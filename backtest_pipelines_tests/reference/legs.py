"""Which call is sold and which future is bought, and what keeps a leg from being traded."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from functools import partial

from backtest_pipelines_tests.reference.market import Quote
from backtest_pipelines_tests.reference.notices import Row, notice
from backtest_pipelines_tests.reference.view import View


@dataclass(frozen=True)
class Leg:
    """One contract at entry and at exit; it can be traded where there are no `problems`.

    `exit` None without a problem: the call is settled at its intrinsic value.
    """

    expiry: date | None
    entry: Quote | None
    exit: Quote | None
    problems: list[Row]
    note: Callable[..., Row]


def strike_target(spot: Decimal, call_sell_position: Decimal) -> Decimal:
    """Return the hundred nearest to the spot moved by the position, exact halves to the even hundred."""
    return (spot * (100 + call_sell_position) / 10_000).quantize(Decimal(1), ROUND_HALF_EVEN) * 100


def call_to_sell(calls: list[Quote], target: Decimal, call_sell_position: Decimal) -> Quote | None:
    """Return the traded call on the hundred next to the target, from above or (position < 0) from below."""
    tradable = [call for call in calls if call.contracts > 0 and call.strike % 100 == 0]
    if call_sell_position >= 0:
        return min((c for c in tradable if c.strike >= target), key=lambda c: c.strike, default=None)
    return max((c for c in tradable if c.strike <= target), key=lambda c: c.strike, default=None)


def call_leg(view: View, position: Decimal, expiry: date, entry: date, exit_: date, *, is_intrinsic: bool) -> Leg:
    """Choose the call on the entry session and find it on the exit session."""
    target = strike_target(view.index_close[entry], position)
    sold = call_to_sell(view.contracts(entry, "CE", expiry), target, position)
    strike = target if sold is None else sold.strike
    note = partial(notice, leg="call", entry=entry, exit_=exit_, expiry=expiry, strike=strike)
    if sold is None:
        return Leg(expiry, None, None, [note("no_tradable_strike", day=entry)], note)
    if is_intrinsic:
        return Leg(expiry, sold, None, [], note)
    at_exit = _only([call for call in view.contracts(exit_, "CE", expiry) if call.strike == strike])
    problems = [note("contract_missing_at_exit", day=exit_)] if at_exit is None else []
    return Leg(expiry, sold, at_exit, problems, note)


def future_leg(view: View, expiry: date, entry: date, exit_: date, *, is_phase_start: bool) -> Leg:
    """Find the future on both sessions; at the start of a phase that of the second month after the entry."""
    if is_phase_start:
        month = next(iter([month for month in view.monthly_expiries if month > entry][1:]), None)
    else:
        month = next((month for month in view.monthly_expiries if month >= expiry), None)
    note = partial(notice, leg="future", entry=entry, exit_=exit_, expiry=month)
    if month is None:
        return Leg(None, None, None, [note("no_future_expiry", day=entry)], note)
    bought = _only(view.contracts(entry, "FUT", month))
    sold = _only(view.contracts(exit_, "FUT", month))
    problems = []
    if bought is None:
        problems.append(note("contract_missing_at_entry", day=entry))
    if sold is None:
        problems.append(note("contract_missing_at_exit", day=exit_))
    return Leg(month, bought, sold, problems, note)


def _only(quotes: list[Quote]) -> Quote | None:
    if len(quotes) > 1:
        raise ValueError(f"the same contract twice on one session: {quotes}")
    return quotes[0] if quotes else None
