"""The catalogue of variants. To add one, add an entry: asset, command line and docs follow."""

from __future__ import annotations

from decimal import Decimal
from difflib import get_close_matches

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.strategies.parameters import Choice, Percent
from backtest_pipelines.strategies.variants import ExpiryRule, Instrument, Leg, Side, Variant

CALL_SOLD = Leg("call", Instrument.CALL, Side.SELL, ExpiryRule.CURRENT, strike_parameter="call_sell_position")
FUTURE_BOUGHT = Leg("future", Instrument.FUTURE, Side.BUY, ExpiryRule.MONTH)

SPOT_ADJUSTMENT_TYPE = Choice(
    "spot_adjustment_type",
    default=0,
    meanings={0: "none", 1: "on a rise", 2: "on a fall", 3: "on a rise or a fall"},
    description="Close and re-enter when the index has moved since the last entry",
)
SPOT_ADJUSTMENT = Percent(
    "spot_adjustment",
    default=Decimal("1.0"),
    low=Decimal(0),
    high=Decimal(100),
    description="Move of the index that triggers the re-entry",
)
CALL_SELL_POSITION = Percent(
    "call_sell_position",
    default=Decimal("0.0"),
    low=Decimal(-50),
    high=Decimal(50),
    description="Strike relative to spot: 0 at the money, above out of the money, below in the money",
)

CALL_SELL_FUTURE_BUY = (SPOT_ADJUSTMENT_TYPE, SPOT_ADJUSTMENT, CALL_SELL_POSITION)

VARIANTS: tuple[Variant, ...] = (
    Variant(
        name="call_sell_future_buy_weekly",
        description="Sell a call of the coming weekly expiry and buy a future, from expiry to expiry",
        revision=1,
        sessions_before_expiry=0,
        legs=(CALL_SOLD, FUTURE_BOUGHT),
        parameters=CALL_SELL_FUTURE_BUY,
    ),
    Variant(
        name="call_sell_future_buy_t1",
        description="Sell a call of the coming weekly expiry and buy a future, each one session before the expiries",
        revision=1,
        sessions_before_expiry=1,
        legs=(CALL_SOLD, FUTURE_BOUGHT),
        parameters=CALL_SELL_FUTURE_BUY,
    ),
    Variant(
        name="call_sell_future_buy_t2",
        description="Sell a call of the coming weekly expiry and buy a future, each two sessions before the expiries",
        revision=1,
        sessions_before_expiry=2,
        legs=(CALL_SOLD, FUTURE_BOUGHT),
        parameters=CALL_SELL_FUTURE_BUY,
    ),
)


def variants() -> tuple[Variant, ...]:
    """Return every variant, in the order of the catalogue."""
    return VARIANTS


def variant(name: str) -> Variant:
    """Return the variant of this name.

    Raises
    ------
    BadRequestError
        If there is none; the message lists the names and the closest one.
    """
    by_name = {entry.name: entry for entry in variants()}
    if name not in by_name:
        raise BadRequestError("variant", name, limit_of_names(name, by_name))
    return by_name[name]


def limit_of_names(name: object, names: dict[str, Variant] | tuple[str, ...]) -> str:
    """Return "allowed: ..." for a list of names, with the closest one where there is one."""
    close = get_close_matches(str(name), names, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"allowed: {', '.join(names)}{hint}"
