"""The price model of the sample market: invented index paths, futures with carry, options by Black's formula.

What belongs here is arithmetic on arrays: where the indices go and what a contract is worth. Which contracts
exist and how much they trade is the business of `chain` and `trading`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from backtest_pipelines.market.sample import calendar

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

INTEREST_RATE = 0.065  # a year, continuous: discounts option payoffs
CARRY_RATE = 0.058  # a year, continuous: interest less dividends, the slope of the futures curve
DAYS_A_YEAR = 365.0
TICK_PAISE = 5

_SESSIONS_A_YEAR = 250.0
_DRIFT = 0.09  # a year
_MARKET_VOLATILITY = 0.125  # a year, when the volatility factor is at rest
_FACTOR_PERSISTENCE = 0.96  # a session
_FACTOR_SHOCK = 0.09
_FACTOR_LEVERAGE = -0.6  # correlation of volatility with the market's return
_FACTOR_REVERSION = 10.0  # a year: _FACTOR_PERSISTENCE in continuous time
_NIGHT_SHARE = 0.3  # of a session's variance
_SHORT_SESSION_VARIANCE = 0.3  # of a full session's
_CLOSE_TO_EXPIRY_DAYS = 0.002  # the last minutes: what an option is still exposed to at the close of its expiry day
_SESSION_DAYS = 0.26


@dataclass(frozen=True)
class Underlying:
    """An index or share of the sample market.

    Attributes
    ----------
    symbol : str
        As in the bhavcopy.
    index_name : str
        As in the file of index closes; empty for a share.
    first_close_inr : float
        Level before the first session.
    beta : float
        Share in the market's return.
    own_volatility : float
        A year, of the return that is not the market's.
    strike_step_inr : int
        Distance of strikes near the spot.
    liquidity : float
        Natural logarithm of the activity relative to NIFTY.
    """

    symbol: str
    index_name: str
    first_close_inr: float
    beta: float
    own_volatility: float
    strike_step_inr: int
    liquidity: float

    @property
    def volatility(self) -> float:
        """Volatility a year when the volatility factor is at rest."""
        return math.hypot(self.beta * _MARKET_VOLATILITY, self.own_volatility)


UNDERLYINGS = (
    Underlying("NIFTY", "Nifty 50", 22605.0, 1.0, 0.03, 50, 0.0),
    Underlying("BANKNIFTY", "Nifty Bank", 49397.0, 1.08, 0.07, 100, -0.3),
    Underlying("FINNIFTY", "Nifty Financial Services", 21945.0, 1.05, 0.06, 50, -1.5),
    Underlying("MIDCPNIFTY", "NIFTY Midcap Select", 10965.0, 1.1, 0.1, 100, -2.0),
    Underlying("HDFCBANK", "", 1520.0, 1.0, 0.15, 20, -3.0),
    Underlying("RELIANCE", "", 2934.0, 1.05, 0.16, 50, -3.0),
)


@dataclass(frozen=True)
class Paths:
    """The invented past of all underlyings.

    Attributes
    ----------
    days : sequence of date
        Sessions; the first is the eve of the market and has a close only.
    open_paise, high_paise, low_paise, close_paise : array of int64, shape (days, underlyings)
        Whole multiples of the tick.
    volatility_factor : array of float64, shape (days,)
        Logarithm of volatility relative to its state of rest, at the close.
    """

    days: Sequence[date]
    open_paise: Integers
    high_paise: Integers
    low_paise: Integers
    close_paise: Integers
    volatility_factor: Floats


def simulate_paths(seed: int, days: Sequence[date]) -> Paths:
    """Draw the underlyings' days: correlated returns; volatility wanders and rises when the market falls.

    A day's draw depends on the seed and the date alone, so that a longer sequence begins like a shorter one.

    Parameters
    ----------
    seed : int
        Zero or more.
    days : sequence of date
        Sessions in order; the first is the eve and takes the first closes.
    """
    count = len(UNDERLYINGS)
    beta = np.array([underlying.beta for underlying in UNDERLYINGS])
    own_volatility = np.array([underlying.own_volatility for underlying in UNDERLYINGS])
    previous = np.log([underlying.first_close_inr for underlying in UNDERLYINGS])
    logs = np.empty((len(days), 4, count))
    logs[0] = previous
    factors = np.zeros(len(days))
    for position, day in enumerate(days[1:], start=1):
        draws = np.random.default_rng([seed, day.toordinal(), 0]).standard_normal(2 + 6 * count)
        market, volatility_shock = draws[:2]
        own, night, *extremes = draws[2:].reshape(6, count)
        length = _session_length(day)
        factor = factors[position - 1]
        market_volatility = _MARKET_VOLATILITY * math.exp(factor) * math.sqrt(length / _SESSIONS_A_YEAR)
        returns = (
            (_DRIFT / _SESSIONS_A_YEAR) * length
            + beta * market_volatility * market
            + own_volatility * math.sqrt(length / _SESSIONS_A_YEAR) * own
        )
        deviation = np.hypot(beta * market_volatility, own_volatility * math.sqrt(length / _SESSIONS_A_YEAR))
        opening = _NIGHT_SHARE * returns + math.sqrt(_NIGHT_SHARE * (1 - _NIGHT_SHARE)) * deviation * night
        # Extremes of a Brownian bridge from opening to close; the sum of two squared normals is -2
        # log(uniform).
        variance = (1 - _NIGHT_SHARE) * deviation**2
        move = returns - opening
        up = np.sqrt(move**2 + variance * (extremes[0] ** 2 + extremes[1] ** 2))
        down = np.sqrt(move**2 + variance * (extremes[2] ** 2 + extremes[3] ** 2))
        close = previous + returns
        logs[position] = (previous + opening, close + (up - move) / 2, close - (down + move) / 2, close)
        shock = _FACTOR_LEVERAGE * market + math.sqrt(1 - _FACTOR_LEVERAGE**2) * volatility_shock
        factors[position] = _FACTOR_PERSISTENCE * factor + _FACTOR_SHOCK * math.sqrt(length) * shock
        previous = close
    opens, highs, lows, closes = to_ticks(np.exp(logs)).transpose(1, 0, 2)
    return Paths(
        days=days,
        open_paise=opens,
        high_paise=np.maximum(highs, np.maximum(opens, closes)),
        low_paise=np.minimum(lows, np.minimum(opens, closes)),
        close_paise=closes,
        volatility_factor=factors,
    )


def _session_length(day: date) -> float:
    special = day in calendar.MUHURAT_EVENINGS or day in calendar.SATURDAY_SESSIONS
    return _SHORT_SESSION_VARIANCE if special else 1.0


def to_ticks(price_inr: Floats) -> Integers:
    """Return prices in paise, rounded to the tick, at least one tick."""
    return np.maximum(np.rint(price_inr * (100 / TICK_PAISE)).astype(np.int64), 1) * TICK_PAISE


def at_the_money_volatility(volatility: Floats, factor: float, days_to_expiry: Floats) -> Floats:
    """Return the implied volatility at the money: the factor fades with the time to expiry.

    Parameters
    ----------
    volatility : array of float64
        Of the underlying at rest, a year.
    factor : float
        Logarithm of today's volatility relative to rest.
    days_to_expiry : array of float64
        Calendar days.
    """
    fading = _FACTOR_REVERSION * np.maximum(days_to_expiry, 1.0) / DAYS_A_YEAR
    risk_premium = 1.08
    return np.asarray(risk_premium * volatility * np.exp(factor * -np.expm1(-fading) / fading))


def future_price(spot_inr: Floats, days_to_expiry: Floats) -> Floats:
    """Return the forward price in INR: the spot with carry."""
    return np.asarray(spot_inr * np.exp(CARRY_RATE * days_to_expiry / DAYS_A_YEAR))


def option_price(
    forward_inr: Floats,
    strike_inr: Floats,
    is_call: NDArray[np.bool_],
    volatility: Floats,
    days_to_expiry: Floats,
) -> tuple[Floats, Floats]:
    """Price European options by Black's formula with a smile.

    Parameters
    ----------
    forward_inr, strike_inr : array of float64
        INR.
    is_call : array of bool
        True for calls, False for puts.
    volatility : array of float64
        At the money, a year.
    days_to_expiry : array of float64
        Calendar days, zero or more.

    Returns
    -------
    intrinsic_inr, time_value_inr : array of float64
        Their sum is the price. A strike's call and put have the same time value: put-call parity.
    """
    years = np.maximum(days_to_expiry, _CLOSE_TO_EXPIRY_DAYS) / DAYS_A_YEAR
    log_moneyness = np.log(strike_inr / forward_inr)
    standardised = np.clip(log_moneyness / (volatility * np.sqrt(years)), -4.0, 4.0)
    deviation = volatility * (1 - 0.12 * standardised + 0.03 * standardised**2) * np.sqrt(years)
    discount = np.exp(-INTEREST_RATE * days_to_expiry / DAYS_A_YEAR)
    # The option out of the money is priced, a call above the forward, a put below; parity gives the other
    # one.
    side = np.where(strike_inr >= forward_inr, 1.0, -1.0)
    upper = -log_moneyness / deviation + deviation / 2
    lower = upper - deviation
    out_of_the_money = side * (forward_inr * normal_cdf(side * upper) - strike_inr * normal_cdf(side * lower))
    payoff = np.where(is_call, forward_inr - strike_inr, strike_inr - forward_inr)
    intrinsic: Floats = discount * np.maximum(payoff, 0.0)
    time_value: Floats = discount * np.maximum(out_of_the_money, 0.0)
    return intrinsic, time_value


def days_left(days_to_expiry: Integers, *, at_open: bool) -> Floats:
    """Return calendar days to expiry with the session itself counted at its opening."""
    return days_to_expiry.astype(np.float64) + (_SESSION_DAYS if at_open else 0.0)


def normal_cdf(value: Floats) -> Floats:
    """Return the standard normal distribution function, relative error below 1.2e-7.

    Chebyshev fit of the complementary error function: Press et al., Numerical Recipes, 2nd ed., section 6.2.
    """
    coefficients = (
        *(0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807),
        *(-0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223),
    )
    size = np.abs(value) / math.sqrt(2.0)
    t = 1.0 / (1.0 + 0.5 * size)
    exponent = np.zeros_like(t)
    for coefficient in coefficients:
        exponent = exponent * t + coefficient
    tail = 0.5 * t * np.exp(exponent - size * size)
    return np.asarray(np.where(value < 0.0, tail, 1.0 - tail), dtype=np.float64)
