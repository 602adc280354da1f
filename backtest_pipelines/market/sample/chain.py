"""The contracts that the sample market lists on a session: expiries, strikes and lot sizes.

What belongs here is which contracts exist. Strikes stay listed once they are, and a contract keeps its key
for life, also through a new expiry date.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backtest_pipelines.market.sample import calendar, lots, prices
from backtest_pipelines.market.sample.prices import Floats, Integers

FUTURE, CALL, PUT = range(3)

# Strikes of an expiry: every n-th step within a share of the lowest and the highest spot since its listing.
# A month that comes nearer gains strikes and loses none.
_WEEKLY_STRIKES = ((1, 0.015), (2, 0.06))
_LONG_STRIKES = ((20, 0.12),)
_MONTHLY_STRIKES = (
    ((1, 0.015), (2, 0.06), *_LONG_STRIKES),
    ((2, 0.06), *_LONG_STRIKES),
    ((4, 0.06), *_LONG_STRIKES),
)


@dataclass(frozen=True)
class Block:
    """The contracts of one expiry of one underlying: what their rows share.

    Attributes
    ----------
    underlying : int
        Position in `prices.UNDERLYINGS`.
    expiry : calendar.Expiry
        As listed on the session.
    lot_size : int
        Units a contract.
    underlying_close_paise : int
        Close of the underlying on the session.
    """

    underlying: int
    expiry: calendar.Expiry
    lot_size: int
    underlying_close_paise: int

    @property
    def symbol(self) -> str:
        """The underlying's symbol."""
        return prices.UNDERLYINGS[self.underlying].symbol

    @property
    def is_index(self) -> bool:
        """Whether the underlying is an index."""
        return bool(prices.UNDERLYINGS[self.underlying].index_name)


@dataclass(frozen=True)
class Chain:
    """All contracts of a session, before trading.

    Attributes
    ----------
    blocks : list of Block
        Shared facts of the rows.
    block, kind, strike_inr : array of int64, shape (rows,)
        Position in `blocks`; one of `FUTURE`, `CALL`, `PUT`; strike, 0 for a future.
    key : array of int64, shape (rows,)
        Names a contract for life.
    underlying, rank, lot_size, days_to_expiry : array of int64, shape (rows,)
        Facts of the row's block; calendar days.
    volatility : array of float64, shape (rows,)
        Implied at the money, a year.
    """

    blocks: list[Block]
    block: Integers
    kind: Integers
    strike_inr: Integers
    key: Integers
    underlying: Integers
    rank: Integers
    lot_size: Integers
    days_to_expiry: Integers
    volatility: Floats


class Listings:
    """The exchange's listing desk, asked for one session after the other.

    Parameters
    ----------
    paths : prices.Paths
        The underlyings.
    """

    def __init__(self, paths: prices.Paths) -> None:
        self._paths = paths
        self._spot_range_inr: dict[tuple[int, int], tuple[float, float]] = {}

    def chain(self, position: int) -> Chain:
        """Return the contracts of the session at a position of the paths, at least 1."""
        session = self._paths.days[position]
        closes = self._paths.close_paise[position]
        blocks: list[Block] = []
        kinds: list[Integers] = []
        strikes: list[Integers] = []
        for number, underlying in enumerate(prices.UNDERLYINGS):
            for expiry in calendar.listed_expiries(underlying.symbol, session):
                lot = lots.lot_size(underlying.symbol, expiry.listed, weekly=expiry.kind == "weekly")
                blocks.append(Block(number, expiry, lot, int(closes[number])))
                ladder = self._strikes_inr(number, expiry, position)
                futures = int(expiry.kind == "monthly")
                kinds.append(np.repeat([FUTURE, CALL, PUT], [futures, len(ladder), len(ladder)]))
                strikes.append(np.concatenate([np.zeros(futures, dtype=np.int64), ladder, ladder]))
        block = np.repeat(np.arange(len(blocks)), [len(part) for part in kinds])
        kind, strike_inr = np.concatenate(kinds), np.concatenate(strikes)
        underlying_of = np.array([part.underlying for part in blocks])
        series = np.array([part.expiry.series for part in blocks])
        days = np.array([(part.expiry.listed - session).days for part in blocks])
        at_rest = np.array([underlying.volatility for underlying in prices.UNDERLYINGS])[underlying_of]
        factor = float(self._paths.volatility_factor[position])
        volatility = prices.at_the_money_volatility(at_rest, factor, days.astype(np.float64))
        return Chain(
            blocks=blocks,
            block=block,
            kind=kind,
            strike_inr=strike_inr,
            key=((underlying_of * 1_000_000 + series)[block] * 1_000_000 + strike_inr) * 4 + kind,
            underlying=underlying_of[block],
            rank=np.array([part.expiry.rank for part in blocks])[block],
            lot_size=np.array([part.lot_size for part in blocks])[block],
            days_to_expiry=days[block],
            volatility=volatility[block],
        )

    def _strikes_inr(self, underlying: int, expiry: calendar.Expiry, position: int) -> Integers:
        spots = self._paths.close_paise[position - 1 : position + 1, underlying] / 100
        lowest, highest = self._spot_range_inr.get((underlying, expiry.series), (math.inf, -math.inf))
        lowest, highest = min(lowest, float(spots.min())), max(highest, float(spots.max()))
        self._spot_range_inr[underlying, expiry.series] = (lowest, highest)
        by_kind = {"weekly": _WEEKLY_STRIKES, "long": _LONG_STRIKES}
        tiers = _MONTHLY_STRIKES[expiry.rank] if expiry.kind == "monthly" else by_kind[expiry.kind]
        ladders = []
        for multiple, width in tiers:
            step = prices.UNDERLYINGS[underlying].strike_step_inr * multiple
            first, last = math.ceil(lowest * (1 - width) / step), math.floor(highest * (1 + width) / step)
            ladders.append(np.arange(first, last + 1, dtype=np.int64) * step)
        return np.unique(np.concatenate(ladders))
