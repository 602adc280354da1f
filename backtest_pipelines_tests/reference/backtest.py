"""The reference backtest: sell one call of the coming expiry, buy one future, by the documented rules."""

from datetime import date

from backtest_pipelines_tests.reference.market import Market
from backtest_pipelines_tests.reference.notices import Row, notice, order
from backtest_pipelines_tests.reference.question import Question
from backtest_pipelines_tests.reference.trades import trade
from backtest_pipelines_tests.reference.view import View
from backtest_pipelines_tests.reference.windows import Window, first_days, pieces, positions, windows

__all__ = ["Question", "backtest"]


def backtest(market: Market, question: Question) -> tuple[list[Row], list[Row]]:
    """Return trades in order of time, and notices in the documented order."""
    view = View(market, question.symbol, question.from_date, question.to_date)
    starts = first_days(view, question.phases, question.from_date)
    trades: list[Row] = []
    notices: list[Row] = []
    for window in windows(view, question.sessions_before):
        if window.not_a_session is not None:
            notices.append(notice("expiry_not_a_session", expiry=window.expiry, day=window.not_a_session))
            continue
        for piece in pieces(window.sessions, question.phases):
            problem = _problem_of_piece(view, question, window, piece)
            if problem is not None:
                notices.append(problem)
                continue
            if {window.previous_expiry, window.expiry} <= set(view.monthly_expiries):
                notices.append(_piece_notice("no_weekly_expiry", window, piece, piece[0]))
            held = positions(piece, view.index_close, question.spot_adjustment_type, question.spot_adjustment)
            for number, (entry, exit_) in enumerate(held):
                is_phase_start = number == 0 and entry in starts
                made, its_notices = trade(view, question, window.expiry, entry, exit_, is_phase_start=is_phase_start)
                if made is not None:
                    trades.append(made)
                notices.extend(its_notices)
    return trades, sorted(notices, key=order)


def _problem_of_piece(view: View, question: Question, window: Window, piece: list[date]) -> Row | None:
    if len(piece) == 1:
        return _piece_notice("window_too_short", window, piece, piece[0])
    needed = [piece[0], piece[-1]] if question.spot_adjustment_type == 0 else piece
    missing = [session for session in needed if session not in view.index_close]
    if missing:
        return _piece_notice("index_close_missing", window, piece, missing[0])
    return None


def _piece_notice(kind: str, window: Window, piece: list[date], day: date) -> Row:
    return notice(kind, entry=piece[0], exit_=piece[-1], expiry=window.expiry, day=day)
