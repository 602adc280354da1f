"""Hand-worked cases of the reference: charges and lot sizes."""

from datetime import date
from decimal import Decimal

import pytest

from backtest_pipelines_tests.reference.backtest import Question, backtest
from backtest_pipelines_tests.reference.chain import Chain, sep
from backtest_pipelines_tests.reference.charges import trade_charges_inr
from backtest_pipelines_tests.reference.tables import lot_by_expiry


def test_charges_of_2025_worked_by_hand() -> None:
    # call sold   7,500: STT 7.5, fee 2.62725, IPFT 0.0375, SEBI 0.0075, 20, GST 4.074255    =  34.246505
    # future    1,770,000: fee 30.621, IPFT 1.77, SEBI 1.77, stamp 35.4, 20, GST 9.43038      =  98.99138
    # call bought 3,000: fee 1.0509, IPFT 0.015, SEBI 0.003, stamp 0.09, 20, GST 3.789702    =  24.948602
    # future    1,762,500: STT 352.5, fee 30.49125, IPFT 1.7625, SEBI 1.7625, 20, GST 9.405675 = 415.921925
    charges = trade_charges_inr(
        date(2025, 2, 6),
        date(2025, 2, 13),
        (Decimal(100), Decimal(40)),
        (Decimal(23600), Decimal(23500)),
        75,
        Decimal(20),
    )
    assert charges == Decimal("574.11")


@pytest.mark.parametrize(("call_exit", "expected"), [(Decimal(20), "104.72"), (None, "103.79")])
def test_charges_of_2020_worked_by_hand(call_exit: Decimal | None, expected: str) -> None:
    # 28 May: SEBI fee 10 a crore, no stamp duty. 2 July: 5 a crore, stamp duty. No IPFT, no GST on SEBI's.
    # call sold   3,750: STT 1.875, fee 1.875, SEBI 0.00375, GST 0.3375     =  4.09125
    # future    675,000: fee 12.825, SEBI 0.675, GST 2.3085                 = 15.8085
    # call bought 1,500: fee 0.75, SEBI 0.00075, stamp 0.045, GST 0.135     =  0.93075
    # future    682,500: STT 68.25, fee 12.9675, SEBI 0.34125, GST 2.33415  = 83.8929
    charges = trade_charges_inr(
        date(2020, 5, 28),
        date(2020, 7, 2),
        (Decimal(50), call_exit),
        (Decimal(9000), Decimal(9100)),
        75,
        Decimal(0),
    )
    assert charges == Decimal(expected)


def test_costs_add_two_columns() -> None:
    trades, _ = backtest(Chain().market(), Question(brokerage_inr_per_order=Decimal(0), to_date=sep(9)))
    # 2 and 9 September 2021, lot 50: premium 5,000, future 852,500, both ways.
    # sold 5,000: STT 2.5, fee 2.65, SEBI 0.005, GST 0.477; bought: the same with stamp 0.15 for the STT
    # futures: fee 17.05, SEBI 0.8525, GST 3.069 twice; stamp 17.05; STT 85.25
    # 5.632 + 3.282 + 2 * 20.9715 + 102.30 = 153.157
    assert list(trades[0])[-2:] == ["charges_inr_per_lot", "net_after_charges_inr_per_lot"]
    assert trades[0]["charges_inr_per_lot"] == Decimal("153.16")
    assert trades[0]["net_after_charges_inr_per_lot"] == Decimal("-153.16")


@pytest.mark.parametrize(
    ("symbol", "expiry", "is_monthly", "lot"),
    [
        ("NIFTY", date(2021, 7, 29), True, 50),
        ("NIFTY", date(2021, 7, 22), False, 75),
        ("NIFTY", date(2024, 4, 25), True, 50),
        ("NIFTY", date(2024, 5, 2), False, 25),
        ("NIFTY", date(2025, 1, 30), True, 25),
        ("NIFTY", date(2025, 1, 2), False, 75),
        ("BANKNIFTY", date(2023, 7, 20), False, 25),
        ("BANKNIFTY", date(2023, 8, 3), False, 15),
        ("BANKNIFTY", date(2018, 10, 25), True, None),
        ("FINNIFTY", date(2024, 7, 30), True, 25),
        ("FINNIFTY", date(2024, 7, 30), False, 40),
    ],
)
def test_lots_follow_the_expiry(symbol: str, expiry: date, *, is_monthly: bool, lot: int | None) -> None:
    assert lot_by_expiry(symbol, expiry, is_monthly=is_monthly) == lot
