"""Lot sizes by expiry and charges by trade date, typed from the exchange's circulars and the acts."""

from datetime import date
from decimal import Decimal

# symbol: rows of (lot, first monthly expiry, first weekly expiry). A month without a day is its first day;
# where one date was published it holds for both kinds.
LOTS: dict[str, list[tuple[int, date, date]]] = {
    "NIFTY": [
        (75, date(2015, 11, 1), date(2015, 11, 1)),
        (50, date(2021, 7, 1), date(2021, 8, 1)),
        (25, date(2024, 5, 30), date(2024, 5, 2)),
        (75, date(2025, 2, 27), date(2025, 1, 2)),
        (65, date(2026, 1, 27), date(2026, 1, 6)),
    ],
    "BANKNIFTY": [
        (20, date(2018, 10, 26), date(2018, 10, 26)),
        (25, date(2020, 7, 30), date(2020, 7, 30)),
        (15, date(2023, 7, 27), date(2023, 7, 27)),
        (30, date(2025, 2, 1), date(2025, 2, 1)),
        (35, date(2025, 7, 31), date(2025, 7, 31)),
        (30, date(2026, 1, 27), date(2026, 1, 27)),
    ],
    "FINNIFTY": [
        (40, date(2021, 1, 1), date(2021, 1, 1)),
        (25, date(2024, 7, 30), date(2024, 8, 6)),
        (65, date(2025, 2, 1), date(2025, 2, 1)),
        (60, date(2026, 1, 27), date(2026, 1, 27)),
    ],
}

Rates = list[tuple[date, Decimal]]
EVER = date.min


def _percent(*rows: tuple[date, str]) -> Rates:
    return [(first, Decimal(rate) / 100) for first, rate in rows]


STT_OPTION_SOLD = _percent(
    (EVER, "0.05"), (date(2023, 4, 1), "0.0625"), (date(2024, 10, 1), "0.1"), (date(2026, 4, 1), "0.15")
)
STT_FUTURE_SOLD = _percent(
    (EVER, "0.01"), (date(2023, 4, 1), "0.0125"), (date(2024, 10, 1), "0.02"), (date(2026, 4, 1), "0.05")
)
EXCHANGE_FEE_OPTION = _percent(
    (EVER, "0.05"), (date(2021, 1, 1), "0.053"), (date(2023, 4, 1), "0.0495"), (date(2024, 10, 1), "0.03503")
)
EXCHANGE_FEE_FUTURE = _percent((EVER, "0.0019"), (date(2021, 1, 1), "0.002"), (date(2024, 10, 1), "0.00173"))
IPFT_OPTION = _percent((EVER, "0"), (date(2023, 4, 1), "0.0005"))
IPFT_FUTURE = _percent((EVER, "0"), (date(2023, 4, 1), "0.0001"))
STAMP_DUTY_OPTION_BOUGHT = _percent((EVER, "0"), (date(2020, 7, 1), "0.003"))
STAMP_DUTY_FUTURE_BOUGHT = _percent((EVER, "0"), (date(2020, 7, 1), "0.002"))
INR_PER_CRORE = 10_000_000
SEBI_FEE: Rates = [
    (EVER, Decimal(10) / INR_PER_CRORE),
    (date(2020, 6, 1), Decimal(5) / INR_PER_CRORE),
    (date(2021, 4, 1), Decimal(10) / INR_PER_CRORE),
]
GST = Decimal("0.18")
GST_ON_SEBI_FEE_FROM = date(2022, 7, 18)


def lot_by_expiry(symbol: str, expiry: date, *, is_monthly: bool) -> int | None:
    """Return the lot of the latest row that has begun by this expiry; None before the first."""
    lot = None
    for row_lot, first_monthly, first_weekly in LOTS[symbol]:
        if (first_monthly if is_monthly else first_weekly) <= expiry:
            lot = row_lot
    return lot


def rate_on(rates: Rates, day: date) -> Decimal:
    """Return the rate in force on a trade date, as a fraction of turnover."""
    return [rate for first, rate in rates if first <= day][-1]
