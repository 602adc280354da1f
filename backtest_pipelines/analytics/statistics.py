"""The statistics of a backtest: one definition a name, with sign, unit and zero case.

``STATISTICS`` says what each name means; ``statistics`` computes exactly those names. A statistic that is not
defined is None: never an exception, an infinity or a NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from backtest_pipelines.analytics.equity import EquityCurve, iso_date
from backtest_pipelines.errors import BadRequestError, BugError
from backtest_pipelines.market.units import PAISE_PER_INR

SESSIONS_PER_YEAR = 252
DAYS_PER_YEAR = 365.25
DEVIATION_NOISE = 1e-12
"""A deviation of daily returns below this is rounding: prices in whole paise cannot cause it."""

Value = int | float | str | None


@dataclass(frozen=True, slots=True)
class Statistic:
    """What a statistic means.

    Attributes
    ----------
    unit : str
        "count", "trades", "sessions", "days", "points" (INR per unit), "fraction", "ratio", "per year",
        "INR per lot" or "ISO date".
    description : str
        The definition, with the sign where it can surprise.
    zero_case : str
        The value where the definition divides by zero or has nothing to measure; "" where that cannot happen.
    """

    unit: str
    description: str
    zero_case: str


_NONE = "null without trades"
_ZERO = "0 without trades"
_WIPED = "null where equity was 0 or less on any session"

STATISTICS: Mapping[str, Statistic] = MappingProxyType(
    {
        "trades": Statistic("count", "Trades made", ""),
        "wins": Statistic("count", "Trades with net P&L > 0", ""),
        "losses": Statistic("count", "Trades with net P&L < 0", ""),
        "scratches": Statistic("count", "Trades with net P&L of exactly 0", ""),
        "win_rate_frac": Statistic("fraction", "wins / trades, 0 to 1", _NONE),
        "net_pnl_points": Statistic("points", "Sum of the trades' net P&L, losses negative", _ZERO),
        "avg_pnl_points": Statistic("points", "Net P&L a trade", _NONE),
        "average_win_points": Statistic("points", "Mean net P&L of the wins, positive", "null without wins"),
        "average_loss_points": Statistic("points", "Mean net P&L of the losses, negative", "null without losses"),
        "best_trade_points": Statistic("points", "Highest net P&L of a trade; negative if all lost", _NONE),
        "worst_trade_points": Statistic("points", "Lowest net P&L of a trade; positive if all won", _NONE),
        "longest_winning_streak_trades": Statistic("trades", "Most wins in a row; a scratch ends a streak", _ZERO),
        "longest_losing_streak_trades": Statistic("trades", "Most losses in a row; a scratch ends a streak", _ZERO),
        "expectancy_ratio": Statistic(
            "ratio",
            "win rate x (average win / absolute average loss) - loss rate: gain a trade in average losses",
            "null without losses; minus the loss rate without wins",
        ),
        "cagr_frac": Statistic(
            "fraction",
            "(last equity / first equity)^(365.25 / calendar_days) - 1",
            f"{_NONE}; {_WIPED}; null where it exceeds the largest number",
        ),
        "calendar_days": Statistic("days", "Days from the first entry to the last exit", _ZERO),
        "max_drawdown_frac": Statistic(
            "fraction",
            "Lowest (equity / highest equity so far - 1), marked to market daily: negative; "
            "below -1 where equity fell below 0",
            f"{_NONE}; 0 where equity never fell",
        ),
        "max_drawdown_booked_frac": Statistic(
            "fraction",
            "The same on the P&L booked at exits: losses within a trade do not show",
            f"{_NONE}; 0 where it never fell",
        ),
        "max_drawdown_points": Statistic(
            "points",
            "Lowest (equity - highest equity so far), marked to market daily: negative; "
            "the deepest in points may be another one than the deepest as a fraction",
            f"{_NONE}; 0 where equity never fell",
        ),
        "max_drawdown_start_date": Statistic(
            "ISO date",
            "Last session at the peak from which max_drawdown_frac is measured",
            "null where equity never fell",
        ),
        "max_drawdown_trough_date": Statistic(
            "ISO date", "First session at the depth of max_drawdown_frac", "null where equity never fell"
        ),
        "max_drawdown_recovery_date": Statistic(
            "ISO date",
            "First session after that trough with equity at its peak again",
            "null where equity never fell or has not recovered",
        ),
        "sharpe_ratio": Statistic(
            "ratio",
            "mean / std (n - 1) x sqrt(252) of the daily returns in excess of risk_free_frac / 252, "
            "all sessions counted, in the market or not",
            "null with fewer than two daily returns or without variation; " + _WIPED,
        ),
        "sortino_ratio": Statistic(
            "ratio",
            "mean(e) / sqrt(mean(min(e, 0)^2)) x sqrt(252), e the daily returns in excess of "
            "risk_free_frac / 252, both means over all sessions",
            "null with fewer than two daily returns or none below the risk-free one; " + _WIPED,
        ),
        "calmar_ratio": Statistic(
            "ratio",
            "CAR/MDD: cagr_frac / absolute max_drawdown_frac",
            "null where either is null or the latter 0",
        ),
        "recovery_factor": Statistic(
            "ratio",
            "net_pnl_points / absolute max_drawdown_points",
            f"{_NONE}; null where equity never fell",
        ),
        "trades_per_year": Statistic("per year", "trades x 365.25 / calendar_days", _NONE),
        "time_in_market_frac": Statistic(
            "fraction", "Steps between sessions with a position open / all steps, 0 to 1", _NONE
        ),
        "first_entry_date": Statistic("ISO date", "Entry of the first trade", _NONE),
        "last_exit_date": Statistic("ISO date", "Exit of the last trade", _NONE),
        "first_entry_spot_points": Statistic(
            "points", "Index close at the first entry: the equity's first value", _NONE
        ),
        "sessions": Statistic("sessions", "Sessions from the first entry to the last exit, both included", _ZERO),
        "net_pnl_inr_per_lot": Statistic(
            "INR per lot", "Sum of each trade's net P&L x its lot", "null where a lot is unknown; 0 without trades"
        ),
        "avg_pnl_inr_per_lot": Statistic(
            "INR per lot", "net_pnl_inr_per_lot / trades", "null where a lot is unknown or without trades"
        ),
        "max_drawdown_inr_per_lot": Statistic(
            "INR per lot",
            "Deepest fall from a peak of the daily equity, each step x the lot held: negative",
            "null where a lot is unknown or without trades; 0 where equity never fell",
        ),
    }
)


def statistics(
    *,
    entry_date: npt.NDArray[np.int32],
    exit_date: npt.NDArray[np.int32],
    net_pnl_paise: npt.NDArray[np.int64],
    curve: EquityCurve,
    lot_size: npt.NDArray[np.int32] | None = None,
    risk_free_frac: float = 0.0,
) -> dict[str, Value]:
    """Compute every statistic of ``STATISTICS``, in its order.

    Parameters
    ----------
    entry_date, exit_date : numpy.ndarray of int32, shape (m,)
        Days since 1970-01-01, in time order.
    net_pnl_paise : numpy.ndarray of int64, shape (m,)
        Net P&L of each trade, per unit.
    curve : EquityCurve
        The same trades' daily equity.
    lot_size : numpy.ndarray of int32, shape (m,), optional
        Units in a lot of each trade, 0 where unknown, for the statistics in INR per lot.
    risk_free_frac : float, default 0.0
        Risk-free rate a year, -1 to 1 (0.065 is 6.5 %); also the minimum acceptable return of Sortino.

    Returns
    -------
    dict
        Plain int, float, str or None; the floats are finite.

    Raises
    ------
    BadRequestError
        `risk_free_frac` is outside its range.
    BugError
        The curve is not that of the trades.
    """
    if not -1 <= risk_free_frac <= 1:
        raise BadRequestError("risk_free_frac", risk_free_frac, "give a fraction a year between -1 and 1")
    _check(entry_date, exit_date, net_pnl_paise, curve)
    found: dict[str, Value] = dict.fromkeys(STATISTICS)
    found.update(_of_trades(net_pnl_paise))
    found["calendar_days"] = found["sessions"] = 0
    if net_pnl_paise.size:
        calendar_days = int(exit_date[-1]) - int(entry_date[0])
        found.update(
            calendar_days=calendar_days,
            trades_per_year=net_pnl_paise.size * DAYS_PER_YEAR / calendar_days,
            first_entry_date=iso_date(entry_date[0]),
            last_exit_date=iso_date(exit_date[-1]),
            first_entry_spot_points=float(curve.equity_points[0]),
            sessions=curve.session.size,
            time_in_market_frac=int(np.count_nonzero(curve.is_held)) / (curve.session.size - 1),
        )
        drawdown_frac, drawdown_points, drawdown_dates = _max_drawdown(curve.equity_points, curve.session)
        found.update(
            drawdown_dates,
            max_drawdown_frac=drawdown_frac,
            max_drawdown_points=drawdown_points,
            max_drawdown_booked_frac=_max_drawdown(curve.booked_points, curve.session)[0],
            recovery_factor=_ratio(int(net_pnl_paise.sum()) / PAISE_PER_INR, -drawdown_points),
        )
        if curve.equity_points.min() > 0:
            cagr_frac = _cagr(curve.equity_points, calendar_days)
            found["cagr_frac"] = cagr_frac
            found["calmar_ratio"] = None if cagr_frac is None else _ratio(cagr_frac, -drawdown_frac)
            found.update(_of_returns(curve.equity_points, risk_free_frac / SESSIONS_PER_YEAR))
    if lot_size is not None and (lot_size > 0).all():
        found.update(_per_lot(entry_date, net_pnl_paise, curve, lot_size))
    return found


def _check(
    entry_date: npt.NDArray[np.int32],
    exit_date: npt.NDArray[np.int32],
    net_pnl_paise: npt.NDArray[np.int64],
    curve: EquityCurve,
) -> None:
    if not entry_date.size == exit_date.size == net_pnl_paise.size:
        raise BugError(
            f"statistics: {entry_date.size} entries, {exit_date.size} exits, {net_pnl_paise.size} results of "
            "trades; as many of each are needed"
        )
    span = (entry_date[:1].tolist(), exit_date[-1:].tolist())
    curve_span = (curve.session[:1].tolist(), curve.session[-1:].tolist())
    if span != curve_span:
        raise BugError(f"statistics: the trades span days {span}, their equity curve {curve_span}")
    if span[0] and span[0] >= span[1]:
        raise BugError(f"statistics: the last trade ends on day {span[1]}, not after the first entry {span[0]}")


def _of_trades(net_pnl_paise: npt.NDArray[np.int64]) -> dict[str, Value]:
    trades = net_pnl_paise.size
    won, lost = net_pnl_paise > 0, net_pnl_paise < 0
    wins, losses = int(np.count_nonzero(won)), int(np.count_nonzero(lost))
    net_paise, won_paise = int(net_pnl_paise.sum()), int(net_pnl_paise[won].sum())
    found: dict[str, Value] = {
        "trades": trades,
        "wins": wins,
        "losses": losses,
        "scratches": trades - wins - losses,
        "net_pnl_points": net_paise / PAISE_PER_INR,
        "longest_winning_streak_trades": _longest_run(won),
        "longest_losing_streak_trades": _longest_run(lost),
    }
    if trades:
        found["win_rate_frac"] = wins / trades
        found["avg_pnl_points"] = net_paise / (trades * PAISE_PER_INR)
        found["best_trade_points"] = int(net_pnl_paise.max()) / PAISE_PER_INR
        found["worst_trade_points"] = int(net_pnl_paise.min()) / PAISE_PER_INR
    average_win = won_paise / (wins * PAISE_PER_INR) if wins else 0.0
    if wins:
        found["average_win_points"] = average_win
    if losses:
        average_loss = (net_paise - won_paise) / (losses * PAISE_PER_INR)
        found["average_loss_points"] = average_loss
        found["expectancy_ratio"] = wins / trades * (average_win / -average_loss) - losses / trades
    return found


def _per_lot(
    entry_date: npt.NDArray[np.int32],
    net_pnl_paise: npt.NDArray[np.int64],
    curve: EquityCurve,
    lot_size: npt.NDArray[np.int32],
) -> dict[str, Value]:
    net_inr = int((net_pnl_paise * lot_size).sum()) / PAISE_PER_INR
    if not net_pnl_paise.size:
        return {"net_pnl_inr_per_lot": net_inr}
    held = np.searchsorted(entry_date, curve.session[1:]) - 1
    equity_inr = np.cumsum(np.diff(curve.equity_points) * lot_size[held])
    peak_inr = np.maximum(np.maximum.accumulate(equity_inr), 0)
    return {
        "net_pnl_inr_per_lot": net_inr,
        "avg_pnl_inr_per_lot": net_inr / net_pnl_paise.size,
        "max_drawdown_inr_per_lot": round(min(float((equity_inr - peak_inr).min()), 0.0), 2),
    }


def _longest_run(is_in: npt.NDArray[np.bool_]) -> int:
    breaks = np.flatnonzero(~is_in)
    return int(np.diff(breaks, prepend=-1, append=is_in.size).max()) - 1


def _max_drawdown(
    points: npt.NDArray[np.float64], session: npt.NDArray[np.int32]
) -> tuple[float, float, dict[str, str]]:
    """Return the deepest fall from a peak as a fraction, the deepest in points, and the former's dates."""
    peak = np.maximum.accumulate(points)
    fall = points - peak
    fall_frac = fall / peak
    trough = int(fall_frac.argmin())
    start = trough - int(points[trough::-1].argmax())
    dates: dict[str, str] = {}
    if start < trough:
        dates["max_drawdown_start_date"] = iso_date(session[start])
        dates["max_drawdown_trough_date"] = iso_date(session[trough])
        recovery = trough + int((points[trough:] >= points[start]).argmax())
        if recovery > trough:
            dates["max_drawdown_recovery_date"] = iso_date(session[recovery])
    return float(fall_frac[trough]), round(float(fall.min()), 2), dates


def _cagr(equity_points: npt.NDArray[np.float64], calendar_days: int) -> float | None:
    try:
        return math.pow(equity_points[-1] / equity_points[0], DAYS_PER_YEAR / calendar_days) - 1
    except OverflowError:
        return None


def _of_returns(equity_points: npt.NDArray[np.float64], risk_free_daily: float) -> dict[str, Value]:
    excess = np.diff(equity_points) / equity_points[:-1] - risk_free_daily
    if excess.size < 2:
        return {}
    mean = float(excess.mean())
    downside = np.minimum(excess, 0.0)
    downside_deviation = math.sqrt(float(downside @ downside) / excess.size)
    return {
        "sharpe_ratio": _annualised(mean, float(excess.std(ddof=1))),
        "sortino_ratio": _annualised(mean, downside_deviation),
    }


def _annualised(mean: float, deviation: float) -> float | None:
    return mean / deviation * math.sqrt(SESSIONS_PER_YEAR) if deviation > DEVIATION_NOISE else None


def _ratio(part: float, whole: float) -> float | None:
    ratio = part / whole if whole else math.inf
    return ratio if math.isfinite(ratio) else None
