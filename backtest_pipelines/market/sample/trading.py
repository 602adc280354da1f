"""What the sample market's contracts trade and where they close, session by session.

What belongs here is the market's memory: an untraded contract keeps its stale close and open
interest carries on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from backtest_pipelines.market.sample import prices
from backtest_pipelines.market.sample.chain import CALL, FUTURE, Chain, Listings
from backtest_pipelines.market.sample.prices import Floats, Integers

_ACTIVITY_BY_KIND = {"weekly": -2.0, "monthly": -2.4, "long": -4.5}  # logarithm, each rank further out
_UNTRADED_SHARE = (0.40, 0.45)  # of a symbol's options
_THIN_CONTRACTS = 5  # a day with fewer leaves a theoretical settlement price
_FIRST_TOKEN = 35_001


@dataclass(frozen=True)
class Bhavcopy:
    """One session of the derivatives market.

    Attributes
    ----------
    session : date
        The session.
    chain : Chain
        The contracts; every array below has shape (rows,) and dtype int64.
    token
        The contract's number, the same for life.
    open_paise, high_paise, low_paise, close_paise
        Open, high and low of an untraded contract are 0, its close is the stale one.
    last_paise, previous_close_paise, settle_paise
        Last trade (0 where there never was one), close of the session before, settlement price.
    contracts, turnover_paise, trades
        Lots traded, notional value, number of trades.
    open_interest, open_interest_change
        Units.
    """

    session: date
    chain: Chain
    token: Integers
    open_paise: Integers
    high_paise: Integers
    low_paise: Integers
    close_paise: Integers
    last_paise: Integers
    previous_close_paise: Integers
    settle_paise: Integers
    contracts: Integers
    turnover_paise: Integers
    trades: Integers
    open_interest: Integers
    open_interest_change: Integers


@dataclass(frozen=True)
class _Memory:
    """What is known of each contract after a session, sorted by key; arrays of shape (contracts,)."""

    key: Integers
    token: Integers
    close_paise: Integers
    last_paise: Integers
    open_interest_lots: Integers

    def find(self, key: Integers) -> tuple[NDArray[np.bool_], Integers]:
        """Return whether each key is known, and where (any position where it is not)."""
        at = np.searchsorted(self.key, key) % len(self.key)
        return self.key[at] == key, at


@dataclass(frozen=True)
class _Worth:
    """Model prices of each row in paise, shape (rows,): at the previous close, open, extremes and close."""

    previous: Integers
    open: Integers
    high: Integers
    low: Integers
    close: Integers


class Market:
    """The derivatives market, played forward from one session to the next.

    Parameters
    ----------
    seed : int
        Zero or more.
    paths : prices.Paths
        The underlyings.
    """

    def __init__(self, seed: int, paths: prices.Paths) -> None:
        self._seed = seed
        self._paths = paths
        self._listings = Listings(paths)
        self._memory: _Memory | None = None
        self._next_token = _FIRST_TOKEN

    def trade(self, position: int) -> Bhavcopy:
        """Play one session.

        Parameters
        ----------
        position : int
            Of the session in `paths.days`; at least 1, and one more than at the previous call.
        """
        session = self._paths.days[position]
        rng = np.random.default_rng([self._seed, session.toordinal(), 1])
        chain = self._listings.chain(position)
        worth = self._worth(position, chain, rng)
        contracts = _contracts_traded(chain, self._paths.close_paise[position] / 100, rng)
        traded = contracts > 0
        token, previous_close, previous_last, held = self._before(chain, worth, contracts)

        close = np.where(traded, worth.close, previous_close)
        high = np.maximum.reduce([worth.open, worth.high, close])
        low = np.minimum.reduce([worth.open, worth.low, close])
        after_the_average = rng.integers(-2, 3, len(contracts)) * prices.TICK_PAISE
        last = np.where(traded, np.clip(close + after_the_average, low, high), previous_last)
        # On expiry day every expiring contract, options included, settles at the close of the index.
        settle = np.where(
            chain.days_to_expiry == 0,
            self._paths.close_paise[position][chain.underlying],
            np.where(contracts < _THIN_CONTRACTS, worth.close, close),
        )
        change = np.rint(contracts * rng.normal(0.05, 0.08, len(contracts))).astype(np.int64)
        change = np.maximum(change, -held)
        average = (worth.open + high + low + close) // 4

        order = np.argsort(chain.key)
        self._memory = _Memory(chain.key[order], token[order], close[order], last[order], (held + change)[order])
        return Bhavcopy(
            session=session,
            chain=chain,
            token=token,
            open_paise=np.where(traded, worth.open, 0),
            high_paise=np.where(traded, high, 0),
            low_paise=np.where(traded, low, 0),
            close_paise=close,
            last_paise=last,
            previous_close_paise=previous_close,
            settle_paise=settle,
            contracts=contracts,
            turnover_paise=contracts * chain.lot_size * (chain.strike_inr * 100 + average),
            trades=(contracts + 3) // 4,
            open_interest=(held + change) * chain.lot_size,
            open_interest_change=change * chain.lot_size,
        )

    def _before(
        self, chain: Chain, worth: _Worth, contracts: Integers
    ) -> tuple[Integers, Integers, Integers, Integers]:
        """Return token, close, last trade and open interest (lots) of each row before the session."""
        if self._memory is None:
            known, at = np.zeros(len(contracts), dtype=bool), np.zeros(len(contracts), dtype=np.int64)
            token, close, last, held = at.copy(), worth.previous, at, contracts * 2
        else:
            known, at = self._memory.find(chain.key)
            token = self._memory.token[at]
            close = np.where(known, self._memory.close_paise[at], worth.previous)
            last = np.where(known, self._memory.last_paise[at], 0)
            held = np.where(known, self._memory.open_interest_lots[at], 0)
        new = int(np.count_nonzero(~known))
        token[~known] = np.arange(self._next_token, self._next_token + new)
        self._next_token += new
        return token, close, last, held

    def _worth(self, position: int, chain: Chain, rng: np.random.Generator) -> _Worth:
        paths = self._paths
        noise = rng.standard_normal((3, len(chain.key)))
        at_high = _price(chain, paths.high_paise[position], noise[1], at_open=False)
        at_low = _price(chain, paths.low_paise[position], noise[1], at_open=False)
        return _Worth(
            previous=_price(chain, paths.close_paise[position - 1], np.zeros_like(noise[0]), at_open=True),
            open=_price(chain, paths.open_paise[position], noise[0], at_open=True),
            high=np.maximum(at_high, at_low),
            low=np.minimum(at_high, at_low),
            close=_price(chain, paths.close_paise[position], noise[2], at_open=False),
        )


def _price(chain: Chain, spots_paise: Integers, noise: Floats, *, at_open: bool) -> Integers:
    """Return the rows' prices in paise with the underlyings at these spots, and some noise of trading."""
    days = prices.days_left(chain.days_to_expiry, at_open=at_open)
    forward = prices.future_price(spots_paise[chain.underlying] / 100, days)
    is_future = chain.kind == FUTURE
    strike = np.where(is_future, forward, chain.strike_inr)
    intrinsic, time_value = prices.option_price(forward, strike, chain.kind == CALL, chain.volatility, days)
    option = intrinsic + time_value * np.clip(1 + 0.006 * noise, 0.95, 1.05)
    basis = 0.0002 * np.sqrt(days / 30.0)
    return prices.to_ticks(np.where(is_future, forward * (1 + basis * noise), option))


def _contracts_traded(chain: Chain, spots_inr: Floats, rng: np.random.Generator) -> Integers:
    """Return lots traded: of each symbol's options the least attractive 40 to 45 % trade nothing."""
    by_kind = np.array([_ACTIVITY_BY_KIND[block.expiry.kind] for block in chain.blocks])[chain.block]
    step_inr = np.array([underlying.strike_step_inr for underlying in prices.UNDERLYINGS])[chain.underlying]
    is_future = chain.kind == FUTURE
    deviation = chain.volatility * np.sqrt(np.maximum(chain.days_to_expiry, 1) / prices.DAYS_A_YEAR)
    spot_inr = spots_inr[chain.underlying]
    moneyness = np.log(np.where(is_future, spot_inr, chain.strike_inr) / spot_inr) / deviation
    out_of_the_money = np.where(chain.kind == CALL, moneyness, -moneyness)
    activity = (
        by_kind * (chain.rank + 0.2)
        - 0.2 * np.maximum(out_of_the_money, 0.0) ** 2
        - 1.6 * np.clip(-out_of_the_money, 0.0, 2.5)
        + 0.6 * (chain.strike_inr % (2 * step_inr) == 0)
        + 0.6 * (chain.strike_inr % (10 * step_inr) == 0)
        + 0.7 * rng.standard_normal(len(chain.key))
    )
    liquidity = np.array([underlying.liquidity for underlying in prices.UNDERLYINGS])
    lots_log = 10.8 + liquidity[chain.underlying] - 2.2 * chain.rank + 0.4 * rng.standard_normal(len(chain.key))
    for number in range(len(prices.UNDERLYINGS)):
        options = (chain.underlying == number) & ~is_future
        untraded = np.quantile(activity[options], rng.uniform(*_UNTRADED_SHARE))
        lots_log[options] = (1.5 + liquidity[number] / 6) * (activity[options] - untraded)
    return np.exp(np.clip(lots_log, -1.0, 17.0)).astype(np.int64)
