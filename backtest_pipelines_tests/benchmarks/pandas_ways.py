"""The same trades by pandas: a plain loop as people write it, and vectorised. Both do less than the engine.

Neither knows phases, re-dating, intrinsic exits or notices; they take a market without gaps.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise

import numpy as np
import pandas as pd

from backtest_pipelines.panel.keys import CALL, FUTURE, expiries_of, instruments_of, strikes_of
from backtest_pipelines.panel.view import MarketView

COLUMNS = ["entry", "exit", "strike", "call_entry", "call_exit", "future_entry", "future_exit"]


def frame(view: MarketView) -> pd.DataFrame:
    """Return the market as one long frame, as it comes out of the daily files."""
    key = view.quotes.key
    return pd.DataFrame(
        {
            "session": (key >> 46).astype(np.int32),
            "instrument": instruments_of(key).astype(np.int8),
            "expiry": expiries_of(key).astype(np.int32),
            "strike": strikes_of(key),
            "close": view.quotes.close_paise.astype(np.int64),
            "contracts": view.quotes.contracts,
        }
    )


def loop(
    days: dict[int, pd.DataFrame],
    spot: dict[int, int],
    expiries: list[int],
    months: list[int],
    adjustment: int,
    threshold: Decimal,
    position: Decimal,
) -> pd.DataFrame:
    """Return the trades by a loop over windows, days and contracts, given a frame for each day."""
    sessions = sorted(days)
    trades = []
    for previous, current in pairwise(expiries):
        window = [day for day in sessions if previous <= day <= current]
        month = next(day for day in months if day >= current)
        entry = window[0]
        for day in window[1:]:
            move = Decimal(100) * (spot[day] - spot[entry]) / spot[entry]
            hit = {0: False, 1: move >= threshold, 2: move <= -threshold, 3: abs(move) >= threshold}[adjustment]
            if not hit and day != window[-1]:
                continue
            target = spot[entry] * (1 + position / 100) / 10_000
            target_paise = int(target.quantize(Decimal(1), ROUND_HALF_EVEN)) * 10_000
            opened, closed = days[entry], days[day]
            calls = opened[
                (opened["instrument"] == CALL)
                & (opened["expiry"] == current)
                & (opened["contracts"] > 0)
                & (opened["strike"] % 10_000 == 0)
            ]
            if position >= 0:
                strike = calls[calls["strike"] >= target_paise]["strike"].min()
            else:
                strike = calls[calls["strike"] <= target_paise]["strike"].max()
            if not pd.isna(strike):
                trades.append(
                    (
                        entry,
                        day,
                        strike,
                        _close(opened, CALL, current, strike),
                        _close(closed, CALL, current, strike),
                        _close(opened, FUTURE, month, 0),
                        _close(closed, FUTURE, month, 0),
                    )
                )
            entry = day
    return pd.DataFrame(trades, columns=COLUMNS).dropna().astype(np.int64)


def _close(day: pd.DataFrame, instrument: int, expiry: int, strike: int) -> float:
    found = day[(day["instrument"] == instrument) & (day["expiry"] == expiry) & (day["strike"] == strike)]["close"]
    return float(found.iloc[0]) if len(found) else float("nan")


def vectorised(
    prices: pd.DataFrame, tradable: pd.DataFrame, entries: pd.DataFrame, position_units: int
) -> pd.DataFrame:
    """Return the trades by merges, given prices and tradable calls sorted for it, and the entries already found."""
    scaled = entries["spot"] * (1_000_000 + position_units) / 1e10
    wanted = entries.assign(target=(np.round(scaled) * 10_000).astype(np.int64)).sort_values("target")
    chosen = pd.merge_asof(
        wanted,
        tradable,
        left_on="target",
        right_on="strike",
        left_by=["entry", "expiry"],
        right_by=["session", "expiry"],
        direction="forward" if position_units >= 0 else "backward",
    ).dropna(subset=["strike"])
    chosen["strike"] = chosen["strike"].astype(np.int64)
    trades = chosen[["entry", "exit", "expiry", "month", "strike"]]
    for name, day, expiry, strike in (
        ("call_entry", "entry", "expiry", "strike"),
        ("call_exit", "exit", "expiry", "strike"),
        ("future_entry", "entry", "month", None),
        ("future_exit", "exit", "month", None),
    ):
        keys = pd.MultiIndex.from_arrays(
            [
                np.full(len(trades), FUTURE if strike is None else CALL, np.int8),
                trades[day],
                trades[expiry],
                np.zeros(len(trades), np.int64) if strike is None else trades[strike],
            ]
        )
        trades = trades.assign(**{name: prices["close"].reindex(keys).to_numpy()})
    return trades[COLUMNS].dropna().astype(np.int64).sort_values("entry", ignore_index=True)
