"""The option chains of a symbol, laid out so that a strike is found by its place and not by a search.

A chain is all options of one session, type and expiry. Its ladder has one step for each hundred INR from its lowest
to its highest strike on the hundred; strikes between the hundreds are in the quote table alone, as no rule of a
strategy chooses them. Searching two million keys touches cold memory twenty times a strike; a ladder is touched once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backtest_pipelines.panel.keys import (
    FUTURE,
    STRIKE_BITS,
    BoolArray,
    Int32Array,
    Int64Array,
    instruments_of,
    strikes_of,
)

HUNDRED_INR_PAISE = 10_000
NO_ROW = -1


@dataclass(frozen=True, slots=True, eq=False)
class ChainTable:
    """c chains and the s steps of their ladders.

    Attributes
    ----------
    key : int64[c]
        Session, type and expiry (a contract's key without its strike), ascending.
    lowest : int32[c]
        Lowest strike on the hundred, in hundreds of INR.
    first_step, last_step : int32[c]
        The steps of the chain's ladder, both included.
    row : int32[s]
        Row of the quote table at each step; -1 where the strike is not listed.
    traded_above, traded_below : int32[s]
        Row of the nearest strike of the chain that traded that day, at or above the step, at or below it; -1 where
        there is none.
    """

    key: Int64Array
    lowest: Int32Array
    first_step: Int32Array
    last_step: Int32Array
    row: Int32Array
    traded_above: Int32Array
    traded_below: Int32Array

    def rows(self, key: Int64Array) -> Int64Array:
        """Return the quote rows of contracts with strikes on the hundred, -1 where one has none."""
        chain, is_listed = self._chains(key)
        step, is_inside, _ = self._steps(chain, strikes_of(key) // HUNDRED_INR_PAISE)
        return self._at(self.row, step, is_listed & is_inside)

    def nearest_traded(self, key: Int64Array, *, above: bool) -> Int64Array:
        """Return the quote rows of the traded strikes on the hundred nearest to contracts, -1 where there is none.

        Parameters
        ----------
        key : int64[n]
            Contracts with the wanted strikes, on the hundred.
        above : bool
            At or above the wanted strike; otherwise at or below it.
        """
        chain, is_listed = self._chains(key)
        step, is_inside, is_below_all = self._steps(chain, strikes_of(key) // HUNDRED_INR_PAISE)
        # Outside the ladder the nearest step on the wanted side is its end; on the other side there is none.
        has_side = is_inside | (is_below_all if above else ~is_below_all)
        return self._at(self.traded_above if above else self.traded_below, step, is_listed & has_side)

    def _chains(self, key: Int64Array) -> tuple[Int64Array, BoolArray]:
        wanted = key >> STRIKE_BITS
        chain = self.key.searchsorted(wanted)
        np.minimum(chain, self.key.size - 1, out=chain)
        return chain, self.key[chain] == wanted if self.key.size else np.zeros(key.shape, bool)

    def _steps(self, chain: Int64Array, hundreds: Int64Array) -> tuple[Int64Array, BoolArray, BoolArray]:
        """Return the step of each strike, the nearest one where it lies outside, and whether it lies inside, below."""
        if self.key.size == 0:
            return chain, np.zeros(chain.shape, bool), np.zeros(chain.shape, bool)
        first = self.first_step[chain]
        wanted = hundreds - self.lowest[chain] + first
        step = np.minimum(np.maximum(wanted, first), self.last_step[chain])
        return step, step == wanted, wanted < first

    def _at(self, rows: Int32Array, step: Int64Array, is_known: BoolArray) -> Int64Array:
        if rows.size == 0:
            return np.full(step.shape, NO_ROW, np.int64)
        found = rows[step].astype(np.int64)
        found[~is_known] = NO_ROW
        return found


def chain_table(key: Int64Array, contracts: Int32Array) -> ChainTable:
    """Return the chains of a quote table.

    Parameters
    ----------
    key : int64[n]
        Sorted.
    contracts : int32[n]
    """
    is_step = (instruments_of(key) != FUTURE) & (strikes_of(key) % HUNDRED_INR_PAISE == 0)
    listed = np.flatnonzero(is_step).astype(np.int32)
    chain_key = key[listed] >> STRIKE_BITS
    starts = np.flatnonzero(np.diff(chain_key, prepend=-1))
    ends = np.append(starts[1:], listed.size)[: starts.size] - 1
    hundreds = strikes_of(key[listed]) // HUNDRED_INR_PAISE
    lowest = hundreds[starts]
    length = hundreds[ends] - lowest + 1
    last_step = np.cumsum(length) - 1
    first_step = last_step - length + 1
    chain = np.repeat(np.arange(starts.size), ends - starts + 1)
    step = first_step[chain] + hundreds - lowest[chain]
    row = np.full(int(length.sum()), NO_ROW, np.int32)
    row[step] = listed
    above, below = _nearest_traded(row, (contracts > 0) & is_step, first_step, last_step)
    return ChainTable(
        chain_key[starts],
        lowest.astype(np.int32),
        first_step.astype(np.int32),
        last_step.astype(np.int32),
        row,
        _row_at(row, above),
        _row_at(row, below),
    )


def _nearest_traded(
    row: Int32Array, is_traded: BoolArray, first: Int64Array, last: Int64Array
) -> tuple[Int64Array, Int64Array]:
    """Return, for each step, the next and the last traded step of its chain, -1 where there is none."""
    if row.size == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    traded = (row != NO_ROW) & is_traded[row]
    steps = np.arange(row.size)
    chain = np.repeat(np.arange(first.size), last - first + 1)
    above = np.minimum.accumulate(np.where(traded, steps, row.size)[::-1])[::-1]
    below = np.maximum.accumulate(np.where(traded, steps, NO_ROW))
    return np.where(above <= last[chain], above, NO_ROW), np.where(below >= first[chain], below, NO_ROW)


def _row_at(row: Int32Array, step: Int64Array) -> Int32Array:
    """Return the rows at steps, -1 where a step is -1."""
    return np.where(step != NO_ROW, row[step], np.int32(NO_ROW)) if row.size else row
