"""Bad requests name field, value and limit; good ones have one form."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.strategies import catalogue
from backtest_pipelines.strategies.question import ask

VARIANT = "call_sell_future_buy_weekly"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variant": "call_sell_future_buy_weakly"}, "variant: got .*did you mean call_sell_future_buy_weekly"),
        ({"symbol": "SENSEX"}, "symbol: got 'SENSEX'; allowed: NIFTY, BANKNIFTY, FINNIFTY"),
        ({"symbol": "nifty"}, "symbol: got 'nifty'; allowed"),
        ({"parameters": {"spot_adjustement": 1}}, "parameter: got 'spot_adjustement'.*did you mean spot_adjustment"),
        ({"parameters": {"spot_adjustment_type": 4}}, r"spot_adjustment_type: got 4; allowed: 0 \(none\), 1"),
        ({"parameters": {"spot_adjustment_type": 1.5}}, "spot_adjustment_type: got 1.5"),
        ({"parameters": {"spot_adjustment_type": True}}, "spot_adjustment_type: got True"),
        ({"parameters": {"spot_adjustment": -0.01}}, "spot_adjustment: got -0.01; allowed: 0 to 100 percent"),
        ({"parameters": {"spot_adjustment": "100.0001"}}, "spot_adjustment: got '100.0001'; allowed: 0 to 100"),
        ({"parameters": {"call_sell_position": "-50.1"}}, "call_sell_position: got '-50.1'; allowed: -50 to 50"),
        ({"parameters": {"call_sell_position": 1.00001}}, "at most 4 decimal places"),
        ({"parameters": {"call_sell_position": float("nan")}}, "call_sell_position: got nan"),
        ({"parameters": {"call_sell_position": "1e400"}}, "call_sell_position: got '1e400'"),
        ({"parameters": {"call_sell_position": "1_0"}}, "call_sell_position: got '1_0'"),
        ({"parameters": {"call_sell_position": None}}, "call_sell_position: got None"),
        ({"parameters": {"call_sell_position": "one"}}, "call_sell_position: got 'one'"),
        ({"from_date": "2021-02-30"}, "from_date: got '2021-02-30'; allowed: an ISO date"),
        ({"from_date": "20210228"}, "from_date: got '20210228'"),
        ({"from_date": "2024-W01-1"}, "from_date: got '2024-W01-1'"),
        ({"to_date": datetime(2021, 1, 1)}, "to_date: got"),  # noqa: DTZ001 - a time is what is refused
        (
            {"from_date": "2021-03-01", "to_date": "2021-02-01"},
            "from_date: got '2021-03-01'; allowed: not after to_date",
        ),
        (
            {"phases": [("2021-03-01", "2021-02-01")]},
            "phases, row 1, start: got '2021-03-01'; allowed: not after its end",
        ),
        ({"phases": [("2021-01-01", "2021-02-01"), ("2021-02-01", "2021-03-01")]}, "phases: got .*do not overlap"),
        ({"phases": [("2021-01-01",)]}, "phases, row 1: got"),
        ({"phases": ["ab"]}, "phases, row 1: got 'ab'; allowed: a start and an end date"),
        ({"exit_at_expiry": "settle"}, "exit_at_expiry: got 'settle'; allowed: close, intrinsic"),
        ({"brokerage_inr_per_order": 20}, "only where costs are asked for"),
        ({"costs": True, "brokerage_inr_per_order": 20.001}, "brokerage_inr_per_order: got 20.001.*whole paise"),
        ({"costs": True, "brokerage_inr_per_order": -1}, "brokerage_inr_per_order: got -1"),
    ],
)
def test_a_bad_request_names_field_value_and_limit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        ask(**{"variant": VARIANT, **change})


def test_defaults_are_filled_in_and_forms_are_one() -> None:
    question = ask(VARIANT, phases=[("2021-03-01", date(2021, 3, 31)), (date(2021, 1, 1), "2021-02-01")])
    assert question.canonical() == {
        "variant": VARIANT,
        "symbol": "NIFTY",
        "parameters": {"spot_adjustment_type": 0, "spot_adjustment": "1", "call_sell_position": "0"},
        "from_date": None,
        "to_date": None,
        "phases": [["2021-01-01", "2021-02-01"], ["2021-03-01", "2021-03-31"]],
        "exit_at_expiry": "close",
        "brokerage_inr_per_order": None,
    }
    assert ask(VARIANT, parameters={"call_sell_position": "-0.0"}).parameters["call_sell_position"] == 0
    assert (
        str(ask(VARIANT, parameters={"call_sell_position": Decimal("1E+1")}).parameters["call_sell_position"]) == "10"
    )


def test_names_of_the_catalogue_are_distinct_and_defaults_are_allowed() -> None:
    names = [variant.name for variant in catalogue.variants()]
    assert len(set(names)) == len(names)
    for variant in catalogue.variants():
        for parameter in variant.parameters:
            assert parameter.normalise(parameter.default) == parameter.default
