"""What a strategy variant is: legs and timing rules, as data.

The engine reads these descriptions; one more variant of the same kind is one more entry of the catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from backtest_pipelines.strategies.parameters import Parameter


class Instrument(Enum):
    """Kind of contract of a leg."""

    FUTURE = 0
    CALL = 1
    PUT = 2


class Side(Enum):
    """Direction of a leg; the value is the sign of its P&L in the price."""

    BUY = 1
    SELL = -1


class ExpiryRule(Enum):
    """Which expiry a leg trades."""

    CURRENT = "current"
    """The expiry at the end of the window."""
    MONTH = "month"
    """The first monthly expiry on or after the current one; for the first trade of a window that begins on
    the first day of a trading phase, the second monthly expiry strictly after the entry day."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One contract of the position.

    Attributes
    ----------
    name : str
        Prefix of the leg's columns in the trades.
    instrument : Instrument
    side : Side
    expiry : ExpiryRule
    strike_parameter : str or None
        The percentage parameter that places an option's strike relative to spot; None for a future.
    """

    name: str
    instrument: Instrument
    side: Side
    expiry: ExpiryRule
    strike_parameter: str | None = None


@dataclass(frozen=True, slots=True)
class Variant:
    """A strategy variant.

    Attributes
    ----------
    name : str
    description : str
        One sentence for users.
    revision : int
        Raised when the rules of the variant change; part of each answer's identity.
    sessions_before_expiry : int
        Entry and exit are at the close this many sessions before the previous and the current expiry.
    legs : tuple of Leg
        An option leg named ``call`` and a future leg named ``future``: the columns of a trade.
    parameters : tuple of Parameter
    """

    name: str
    description: str
    revision: int
    sessions_before_expiry: int
    legs: tuple[Leg, ...]
    parameters: tuple[Parameter, ...]

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter of this name, or None."""
        return next((parameter for parameter in self.parameters if parameter.name == name), None)
