"""A parameter of a strategy: its type, range, default, unit and meaning, said once.

The command line, the config schema of the assets and the docs are derived from these descriptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from numbers import Integral
from typing import TypeAlias

from backtest_pipelines.errors import BadRequestError

ParameterValue: TypeAlias = int | Decimal

PERCENT_PLACES = 4
"""Most decimal places of a percentage, so that comparisons are made in whole ten-thousandths of a percent."""


WHOLE_UNITS = 100 * 10**PERCENT_PLACES
"""A whole, in the units of `percent_units`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter that takes one of a few whole numbers.

    Attributes
    ----------
    name : str
    default : int
    meanings : dict of int to str
        What each allowed value does.
    description : str
    """

    name: str
    default: int
    meanings: dict[int, str]
    description: str

    @property
    def limit(self) -> str:
        """What is allowed, in words."""
        allowed = ", ".join(f"{value} ({meaning})" for value, meaning in self.meanings.items())
        return f"allowed: {allowed}"

    def normalise(self, value: object) -> int:
        """Return the value as one of the allowed whole numbers.

        Raises
        ------
        BadRequestError
            If it is not one of them.
        """
        number = _decimal(self.name, value, self.limit)
        if number != number.to_integral_value() or int(number) not in self.meanings:
            raise BadRequestError(self.name, value, self.limit)
        return int(number)


@dataclass(frozen=True, slots=True)
class Percent:
    """A percentage of at most four decimal places within a closed range.

    Attributes
    ----------
    name : str
    default, low, high : Decimal
        In percent.
    description : str
    """

    name: str
    default: Decimal
    low: Decimal
    high: Decimal
    description: str

    @property
    def limit(self) -> str:
        """What is allowed, in words."""
        return f"allowed: {self.low} to {self.high} percent, at most {PERCENT_PLACES} decimal places"

    def normalise(self, value: object) -> Decimal:
        """Return the value as a decimal without trailing zeros.

        Floats are taken as the shortest decimal that denotes them, so that ``0.1`` is one tenth.

        Raises
        ------
        BadRequestError
            If it is no number, lies outside the range or has more than four decimal places.
        """
        number = _decimal(self.name, value, self.limit)
        if not self.low <= number <= self.high:
            raise BadRequestError(self.name, value, self.limit)
        if number != round(number, PERCENT_PLACES):
            raise BadRequestError(self.name, value, self.limit)
        return plain_decimal(number)


Parameter: TypeAlias = Choice | Percent


def plain_decimal(number: Decimal) -> Decimal:
    """Return the number without trailing zeros, exponent or negative zero: one form for each value."""
    if number == 0:
        return Decimal(0)
    normal = number.normalize()
    exponent = normal.as_tuple().exponent
    return normal.quantize(Decimal(1)) if isinstance(exponent, int) and exponent > 0 else normal


def percent_units(value: ParameterValue) -> int:
    """Return a percentage as whole ten-thousandths of a percent."""
    return int(value * 10**PERCENT_PLACES)


def _decimal(name: str, value: object, limit: str) -> Decimal:
    # NumPy's scalars, as from a sweep over np.arange, are Integral or float too, but write themselves differently.
    if isinstance(value, bool) or not isinstance(value, Integral | float | str | Decimal):
        raise BadRequestError(name, value, limit)
    text = repr(float(value)) if isinstance(value, float) else str(value).strip()
    try:
        number = Decimal(text if "_" not in text else "")
    except InvalidOperation:
        raise BadRequestError(name, value, limit) from None
    if not number.is_finite() or abs(number.adjusted()) > 12:
        raise BadRequestError(name, value, limit)
    return number
