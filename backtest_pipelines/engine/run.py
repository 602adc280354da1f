"""The engine: one question on one view to trades and notices, by array operations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backtest_pipelines.engine.costs import charges_paise
from backtest_pipelines.engine.legs import Candidates, leg_trades
from backtest_pipelines.engine.notices import NoticeKind, Notices
from backtest_pipelines.engine.reentry import NO_ADJUSTMENT, entries_and_exits
from backtest_pipelines.engine.trades import UNKNOWN_PAISE, Backtest, LegTrades, Trades
from backtest_pipelines.engine.windows import Windows, windows
from backtest_pipelines.market.rules import LOT_UNKNOWN, lot_sizes
from backtest_pipelines.panel.keys import Int32Array, Int64Array
from backtest_pipelines.panel.symbol_tables import MISSING_PAISE
from backtest_pipelines.panel.view import MarketView
from backtest_pipelines.strategies.parameters import percent_units
from backtest_pipelines.strategies.question import Question
from backtest_pipelines.strategies.variants import Instrument

ENGINE_REVISION = 1
"""Raised when the same question on the same data is answered differently; part of each answer's identity."""


def run(view: MarketView, question: Question) -> Backtest:
    """Return the trades and notices of a question.

    Parameters
    ----------
    view : MarketView
        Cut to the question's dates.
    question : Question
    """
    notices = Notices()
    plan = windows(view, question.variant.sessions_before_expiry, question.phases)
    notices.extend(plan.notices)
    adjustment = int(question.parameters["spot_adjustment_type"])
    spans = _with_index_closes(view, plan, notices, needs_every_session=adjustment != NO_ADJUSTMENT)
    lacking = spans.lacks_weekly
    if lacking.any():
        entry = view.session[spans.start[lacking]]
        notices.add(
            NoticeKind.NO_WEEKLY_EXPIRY,
            day=entry,
            entry=entry,
            leave=view.session[spans.end[lacking]],
            expiry=spans.expiry[lacking],
        )
    threshold = percent_units(question.parameters["spot_adjustment"])
    window, entry_position, exit_position = entries_and_exits(
        view.index_close_paise, spans.start, spans.end, adjustment, threshold
    )
    candidates = Candidates(
        entry_position,
        exit_position,
        view.session[entry_position],
        view.session[exit_position],
        view.index_close_paise[entry_position],
        view.index_close_paise[exit_position],
        spans.expiry[window],
        spans.begins_phase[window] & (entry_position == spans.start[window]),
    )
    return Backtest(_trades(view, question, candidates, notices), notices)


def _with_index_closes(view: MarketView, plan: Windows, notices: Notices, *, needs_every_session: bool) -> Windows:
    """Return the windows whose index closes are known, with a notice for each of the others."""
    is_missing = view.index_close_paise == MISSING_PAISE
    if not is_missing.any():
        return plan
    if needs_every_session:
        missing_before = np.concatenate([[0], np.cumsum(is_missing)])
        lacks = missing_before[plan.end + 1] > missing_before[plan.start]
        positions = np.flatnonzero(is_missing)
        first = np.append(positions, 0)[np.searchsorted(positions, plan.start)]
    else:
        lacks = is_missing[plan.start] | is_missing[plan.end]
        first = np.where(is_missing[plan.start], plan.start, plan.end)
    notices.add(
        NoticeKind.INDEX_CLOSE_MISSING,
        day=view.session[first[lacks]],
        entry=view.session[plan.start[lacks]],
        leave=view.session[plan.end[lacks]],
        expiry=plan.expiry[lacks],
    )
    return plan.subset(~lacks)


def _trades(view: MarketView, question: Question, candidates: Candidates, notices: Notices) -> Trades:
    legs: list[LegTrades] = []
    is_made = np.ones(candidates.entry_date.size, bool)
    for rule in question.variant.legs:
        leg, can_be_made = leg_trades(view, question, rule, candidates, notices)
        legs.append(leg)
        is_made &= can_be_made
    if not is_made.all():
        kept = np.flatnonzero(is_made)
        candidates = Candidates(*(getattr(candidates, name)[kept] for name in Candidates.__slots__))
        legs = [_kept_leg(leg, kept) for leg in legs]
    entry, leave = candidates.entry_date, candidates.exit_date
    option = next(leg for leg in legs if leg.leg.instrument is not Instrument.FUTURE)
    lots = [_lots(view, question.symbol, leg) for leg in legs]
    lot_size = next(lot for leg, lot in zip(legs, lots, strict=True) if leg is option)
    for leg, lot in zip(legs, lots, strict=True):
        stale = (leg.exit_row >= 0) & (view.quotes.contracts[leg.exit_row] == 0)
        for kind, concerned, day in (
            (NoticeKind.STALE_CLOSE_AT_EXIT, stale, leave),
            (NoticeKind.LOT_SIZE_UNKNOWN, (lot == LOT_UNKNOWN) & (leg is option), entry),
            (NoticeKind.LOT_SIZE_DIFFERS, (lot != lot_size) & (lot != LOT_UNKNOWN) & (lot_size != LOT_UNKNOWN), entry),
        ):
            notices.add_trades(
                kind, concerned, candidates, leg.leg, day=day, expiry=leg.expiry, strike_paise=leg.strike_paise
            )
    exit_turnover = view.quotes.turnover_paise[option.exit_row]
    return Trades(
        entry_position=candidates.entry_position,
        exit_position=candidates.exit_position,
        entry_date=entry,
        exit_date=leave,
        entry_spot_paise=candidates.entry_spot_paise,
        exit_spot_paise=candidates.exit_spot_paise,
        legs=tuple(legs),
        net_pnl_paise=np.add.reduce([leg.pnl_paise for leg in legs]),
        entry_turnover_paise=view.quotes.turnover_paise[option.entry_row],
        exit_turnover_paise=np.where(option.exit_row >= 0, exit_turnover, UNKNOWN_PAISE),
        lot_size=lot_size,
        charges_paise=(
            None
            if question.brokerage_inr_per_order is None
            else charges_paise(tuple(legs), entry, leave, lot_size, question.brokerage_inr_per_order)
        ),
    )


def _kept_leg(leg: LegTrades, kept: Int64Array) -> LegTrades:
    columns = {name: getattr(leg, name)[kept] for name in LegTrades.__slots__ if name != "leg"}
    return replace(leg, **columns)


def _lots(view: MarketView, symbol: str, leg: LegTrades) -> Int32Array:
    """Return the lot size of each contract: the file's on the entry session, else the dated table's."""
    lot = view.quotes.lot_size[leg.entry_row]
    unknown = lot == LOT_UNKNOWN
    if unknown.any():
        expiry = leg.expiry[unknown]
        lot[unknown] = lot_sizes(symbol, expiry, is_monthly=np.isin(expiry, view.monthly_expiries))
    return lot
