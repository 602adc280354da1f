"""Random small markets and questions, full of the coincidences that a backtest must get exactly right.

Index closes hit thresholds exactly, lie exactly between two strikes, or go missing; contracts are untraded,
absent or re-dated; sessions fall on Saturdays, are holidays, or have no file.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal

from backtest_pipelines_tests.reference.exchange_files import LAST_LEGACY_SESSION
from backtest_pipelines_tests.reference.market import SYMBOLS, IndexClose, Market, Quote
from backtest_pipelines_tests.reference.question import Question

# Dates near which a rule changes: lots, charges, the file format.
FIRST_DAYS = [
    date(2019, 3, 4),
    date(2020, 5, 11),
    date(2020, 12, 14),
    date(2021, 6, 21),
    date(2022, 6, 27),
    date(2023, 3, 13),
    date(2024, 4, 8),
    date(2024, 6, 17),
    date(2024, 9, 9),
    date(2025, 1, 6),
    date(2025, 12, 8),
]
ANCHORS = [5000, 5000, 6000, 8000, 10000, 10000, 20000]
THRESHOLDS = [Decimal(x) for x in ("0", "0.25", "0.5", "0.7525", "1", "1.0", "1.25", "1.3333", "2", "3", "100")]
POSITIONS = [
    Decimal(x)
    for x in (
        "0",
        "0",
        "0.0",
        "0.5",
        "1",
        "1.0",
        "1",
        "2.5",
        "0.1234",
        "-0.5",
        "-1",
        "-2.5",
        "-3.3333",
        "5",
        "-50",
    )
]
DAY = timedelta(days=1)
PAISA = Decimal("0.01")
OPTIONS_AHEAD = timedelta(days=50)  # a later month has futures only


@dataclass
class Series:
    """All contracts that expire together, with the dates under which they are listed from a session on."""

    scheduled: date
    is_monthly: bool
    call_lot: int | None
    future_lot: int | None
    redated: list[tuple[date, date]] = field(default_factory=list)

    def listed_as(self, session: date) -> date:
        """Return the expiry date under which the contracts are listed on a session."""
        return [name for first, name in [(date.min, self.scheduled), *self.redated] if first <= session][-1]

    @property
    def real(self) -> date:
        """The date on which the contracts really expire."""
        return self.listed_as(date.max)


def random_market(seed: int, *, session_count: int | None = None) -> Market:
    """Return a market of 20 to 60 sessions (or as many as asked for) of one or two symbols."""
    rng = random.Random(seed)
    count = session_count or rng.randint(20, 60)
    calendar = _calendar(rng, rng.choice(FIRST_DAYS), count + 110)
    sessions = calendar[:count]
    market = Market([], [])
    for symbol in rng.sample(SYMBOLS, rng.choice([1, 1, 2])):
        _add_symbol(rng, market, symbol, calendar, sessions)
    without_file = set(rng.sample(sessions[1:-1], rng.choice([0, 0, 0, 1, 2])))
    quotes = [quote for quote in market.quotes if quote.session not in without_file]
    return Market(quotes, market.index_closes)


def random_question(seed: int, market: Market | None = None) -> Question:
    """Return a question to a market (by default to `random_market(seed)`)."""
    rng = random.Random(-1 - seed)
    market = market or random_market(seed)
    sessions = market.sessions()
    symbol = rng.choice(market.symbols())
    from_date, to_date = _random_period(rng, sessions)
    return Question(
        sessions_before=rng.choice([0, 0, 1, 2, 3]),
        symbol=symbol,
        spot_adjustment_type=rng.choice([0, 1, 2, 3]),
        spot_adjustment=rng.choice(rng.choice([*[_exact_moves(market, symbol)] * 2, THRESHOLDS])),
        call_sell_position=rng.choice(POSITIONS),
        from_date=from_date,
        to_date=to_date,
        phases=_random_phases(rng, sessions) if rng.random() < 0.4 else [],
        exit_at_expiry=rng.choice(["close", "close", "intrinsic"]),
        brokerage_inr_per_order=rng.choice([None, None, Decimal(20), Decimal("12.35"), Decimal(0)]),
    )


def _exact_moves(market: Market, symbol: str) -> list[Decimal]:
    """Return a threshold for each exact hit between closes of few sessions; where there is none, all."""
    closes = {close.session: close.close for close in market.index_closes if close.symbol == symbol}
    closes |= {q.session: q.underlying for q in market.quotes if q.symbol == symbol and q.underlying is not None}
    path = [closes[session] for session in sorted(closes)]
    moves = [
        100 * abs(later - earlier) / earlier
        for number, earlier in enumerate(path)
        for later in path[number + 1 : number + 5]
    ]
    return [move for move in moves if move in THRESHOLDS[1:]] or THRESHOLDS


def _random_period(rng: random.Random, sessions: list[date]) -> tuple[date | None, date | None]:
    from_date = to_date = None
    if rng.random() < 0.3:
        from_date = rng.choice(sessions[: len(sessions) // 2]) - rng.choice([0, 0, 1, 2]) * DAY
    if rng.random() < 0.3:
        to_date = rng.choice(sessions[len(sessions) // 2 :]) + rng.choice([0, 0, 1, 2]) * DAY
    return from_date, to_date


def _random_phases(rng: random.Random, sessions: list[date]) -> list[tuple[date, date]]:
    phases = []
    start = sessions[0] + rng.randint(-5, 15) * DAY
    for _ in range(rng.randint(1, 4)):
        end = start + rng.choice([0, 1, 5, 10, 20, 40]) * DAY
        phases.append((start, end))
        start = end + rng.choice([1, 1, 2, 3, 10]) * DAY
    return phases


def _calendar(rng: random.Random, first: date, count: int) -> list[date]:
    sessions: list[date] = []
    day = first
    while len(sessions) < count:
        is_weekend = day.weekday() >= 5
        if rng.random() < (0.07 if is_weekend else 0.93):
            sessions.append(day)
        day += DAY
    return sessions


def _add_symbol(rng: random.Random, market: Market, symbol: str, calendar: list[date], sessions: list[date]) -> None:
    anchor = rng.choice(ANCHORS)
    all_series = _series(rng, calendar, sessions)
    closes = _index_path(rng, anchor, sessions, {series.real for series in all_series})
    without_close = set(rng.sample(sessions, rng.choice([0, 0, 0, 1, 2])))
    without_rows = set(rng.sample(sessions, rng.choice([0] * 9 + [1])))
    has_close_file_beside_udiff = rng.random() < 0.5
    strikes = [Decimal(strike) for strike in range(anchor * 94 // 5000 * 50, anchor * 107 // 100 + 1, 50)]
    if rng.random() < 0.2:
        strikes.append(Decimal(anchor) + Decimal("100.05"))
    weeklies_ahead, months_ahead = rng.randint(2, 3), rng.choice([3, 3, 3, 3, 1])
    for session, close in zip(sessions, closes, strict=True):
        is_udiff = session > LAST_LEGACY_SESSION
        if session not in without_close and (not is_udiff or has_close_file_beside_udiff):
            market.index_closes.append(IndexClose(session, symbol, close))
        if session in without_rows:
            continue
        for series in _listed(all_series, session, weeklies_ahead, months_ahead):
            for quote in _quotes(rng, symbol, session, series, close, strikes):
                if rng.random() >= 0.02:
                    market.quotes.append(quote)


def _listed(all_series: list[Series], session: date, weeklies_ahead: int, months_ahead: int) -> list[Series]:
    alive = sorted((s for s in all_series if s.real >= session), key=lambda s: s.real)
    weeklies = [series for series in alive if not series.is_monthly]
    monthlies = [series for series in alive if series.is_monthly]
    return weeklies[:weeklies_ahead] + monthlies[:months_ahead]


def _quotes(
    rng: random.Random, symbol: str, session: date, series: Series, spot: Decimal, strikes: list[Decimal]
) -> Iterator[Quote]:
    expiry = series.listed_as(session)
    is_udiff = session > LAST_LEGACY_SESSION

    def quote(instrument: str, strike: Decimal, close: Decimal, lot: int | None) -> Quote:
        contracts = 0 if rng.random() < 0.4 else rng.randint(1, 900)
        unit = Decimal("0.01") if is_udiff else Decimal(1000)  # whole paise; hundredths of a lakh
        return Quote(
            session=session,
            symbol=symbol,
            instrument=instrument,
            expiry=expiry,
            strike=strike,
            close=close,
            contracts=contracts,
            turnover_inr=contracts * rng.randint(10_000, 99_999) * unit,
            lot_size=lot if is_udiff else None,
            underlying=spot if is_udiff else None,
        )

    if series.is_monthly:
        basis = PAISA * rng.randint(-3000, 9000)
        yield quote("FUT", Decimal(0), spot + basis, series.future_lot)
    if expiry - session > OPTIONS_AHEAD:
        return
    for strike in strikes:
        premium = max(Decimal(0), spot - strike) + PAISA * rng.randint(5, 20_000)  # a tick is 0.05
        yield quote("CE", strike, premium, series.call_lot)
        if rng.random() < 0.1:
            yield quote("PE", strike, premium, series.call_lot)


def _series(rng: random.Random, calendar: list[date], sessions: list[date]) -> list[Series]:
    nominal_weekday = rng.choice([1, 2, 3])
    weeklies_until = rng.choice([date.max, date.max, date.max, sessions[len(sessions) // 2], date.min])
    lot = rng.choice([1, 5, 15, 25, 75])
    lots_differ, lots_unknown = rng.random() < 0.2, rng.random() < 0.2
    nominal = [
        calendar[0] + n * DAY
        for n in range((calendar[-1] - calendar[0]).days)
        if (calendar[0] + n * DAY).weekday() == nominal_weekday
    ]
    found: dict[date, Series] = {}
    for day in nominal:
        expiry = max((session for session in calendar if session <= day), default=None)
        is_monthly = (day + 7 * DAY).month != day.month
        if expiry is None or not (is_monthly or day <= weeklies_until):
            continue
        found[expiry] = Series(
            scheduled=expiry,
            is_monthly=is_monthly,
            call_lot=None if lots_unknown and rng.random() < 0.3 else lot,
            future_lot=lot + 5 if lots_differ and rng.random() < 0.5 else lot,
        )
    all_series = list(found.values())
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        _redate(rng, all_series, sessions)
    return all_series


def _redate(rng: random.Random, all_series: list[Series], sessions: list[date]) -> None:
    """Move the expiry of one series that is listed for some sessions before and after the change."""
    candidates = [series for series in all_series if series.real in sessions[3:]]
    if not candidates:
        return
    series = rng.choice(candidates)
    before = series.real
    after = before + rng.choice([-1, -2, 1, 2, 5]) * DAY
    last_change = series.redated[-1][0] if series.redated else date.min
    # On the session of the change neither date may have passed.
    possible = [session for session in sessions[1:] if last_change < session <= min(before, after)][-10:]
    taken = {name for s in all_series for name in [s.scheduled, *(listed for _, listed in s.redated)]}
    if possible and after not in taken:
        series.redated.append((rng.choice(possible), after))


def _index_path(rng: random.Random, anchor: int, sessions: list[date], expiries: set[date]) -> list[Decimal]:
    lowest, highest = Decimal(anchor) * Decimal("0.955"), Decimal(anchor) * Decimal("1.045")
    halves = _exact_half_strikes(lowest, highest)
    threshold = rng.choice([Decimal(1), Decimal(1), Decimal("0.5"), rng.choice(THRESHOLDS[1:-1])])
    entry = Decimal(anchor)  # of a position from the last expiry or hit on
    closes = []
    for session in sessions:
        way = rng.random()
        if way < 0.35:  # hits the threshold exactly, or misses it by one paisa
            close = (entry * (100 + threshold * rng.choice([1, -1])) / 100).quantize(PAISA)
            close += rng.choice([0, 0, 0, 1, -1]) * PAISA
        elif way < 0.55:
            close = rng.choice(halves)
        elif way < 0.85:
            close = Decimal(anchor + 100 * rng.randint(-3, 3))
        else:
            close = lowest + PAISA * rng.randint(0, int((highest - lowest) * 100))
        if not lowest <= close <= highest:
            close = Decimal(anchor)
        closes.append(close)
        if way < 0.35 or session in expiries:
            entry = close
    return closes


def _exact_half_strikes(lowest: Decimal, highest: Decimal) -> list[Decimal]:
    """Return closes whose target, for one of the positions, lies exactly between two hundreds."""
    found = []
    for position in POSITIONS:
        factor = 1 + position / 100
        for hundred in range(int(lowest * factor) // 100, int(highest * factor) // 100 + 1):
            close = ((100 * hundred + 50) / factor).quantize(PAISA)
            if close * factor == 100 * hundred + 50 and lowest <= close <= highest:
                found.append(close)
    return found
