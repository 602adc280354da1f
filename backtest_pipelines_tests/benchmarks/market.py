"""A seeded seven-year market of one symbol: about 1,730 sessions and 2 million rows, 366 weekly windows.

Its shape is what matters here, not its prices: as many strikes, expiries and untraded rows as the real one has.
"""

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np

from backtest_pipelines.panel.calendar import Calendar
from backtest_pipelines.panel.quotes import Quotes
from backtest_pipelines.panel.rebuild import BhavcopyUpdate, SessionUpdate, rebuild
from backtest_pipelines.panel.store import PanelStore

EPOCH = date(1970, 1, 1)
FIRST, LAST = date(2019, 2, 7), date(2026, 2, 12)
THURSDAY = 3
WEEKLIES_LISTED = 5
STRIKES_EACH_SIDE = 41
STRIKE_STEP_PAISE = 5_000


def build(store: PanelStore, seed: int = 20190207) -> None:
    """Put the market into a panel store."""
    updates = {day: SessionUpdate(BhavcopyUpdate(quotes, spot)) for day, spot, quotes in _sessions(seed)}
    with store.writing() as before:
        store.commit(before, {"NIFTY": rebuild(None, updates)}, {}, Calendar())


def _sessions(seed: int) -> Iterator[tuple[int, int, Quotes]]:
    rng = np.random.default_rng(seed)
    weekdays = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]
    weekdays = [day for day in weekdays if day.weekday() < 5]
    # Thursdays are kept, so that every week has its window.
    sessions = [day for day in weekdays if day.weekday() == THURSDAY or rng.random() > 0.071]
    expiries = [day for day in sessions if day.weekday() == THURSDAY]
    expiries += [expiries[-1] + timedelta(weeks=n) for n in range(1, 30)]
    monthlies = [day for day in expiries if (day + timedelta(weeks=1)).month != day.month]
    spot = 1_080_000.0
    for session in sessions:
        spot *= float(np.exp(rng.normal(0.0004, 0.009)))
        spot_paise = round(spot / 5) * 5
        weeklies = [day for day in expiries if day >= session][:WEEKLIES_LISTED]
        months = [day for day in monthlies if day >= session][:3]
        yield _days(session), spot_paise, _quotes(rng, session, spot_paise, sorted({*weeklies, *months}), months)


def _quotes(
    rng: np.random.Generator, session: date, spot_paise: int, expiries: list[date], months: list[date]
) -> Quotes:
    middle = round(spot_paise / STRIKE_STEP_PAISE) * STRIKE_STEP_PAISE
    ladder = middle + STRIKE_STEP_PAISE * np.arange(-STRIKES_EACH_SIDE, STRIKES_EACH_SIDE + 1)
    strike = np.tile(ladder, len(expiries))
    expiry = np.repeat([_days(day) for day in expiries], ladder.size)
    years = (expiry - _days(session)) / 365 + 1e-4
    width = spot_paise * 0.14 * np.sqrt(years)
    distance = (spot_paise - strike) / width
    time_value = width * 0.4 * np.exp(-0.5 * distance**2)
    call = np.maximum(spot_paise - strike, 0) + time_value
    put = np.maximum(strike - spot_paise, 0) + time_value
    future = spot_paise * (1 + 0.06 * (np.array([_days(day) for day in months]) - _days(session)) / 365)
    close = np.concatenate([future, call, put])
    rows = close.size
    contracts = np.where(rng.random(rows) < 0.55, rng.integers(1, 90_000, rows), 0)
    contracts[: len(months)] = 50_000
    return Quotes(
        instrument=np.repeat([0, 1, 2], [len(months), strike.size, strike.size]).astype(np.int8),
        expiry=np.concatenate([[_days(day) for day in months], expiry, expiry]).astype(np.int32),
        strike_paise=np.concatenate([np.zeros(len(months)), strike, strike]).astype(np.int64),
        close_paise=np.maximum(np.round(close / 5) * 5, 5).astype(np.int64),
        contracts=contracts.astype(np.int64),
        open_interest=(contracts * 75).astype(np.int64),
        turnover_paise=(contracts * 75 * 1_000_000).astype(np.int64),
        lot_size=np.full(rows, 75, np.int32),
    )


def _days(day: date) -> int:
    return (day - EPOCH).days
