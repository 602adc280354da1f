"""A question: one variant with every choice made and checked. Equal questions have equal canonical forms."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from typing import Literal, TypeAlias

from backtest_pipelines.canonical import canonical_json
from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.market.symbols import SYMBOLS
from backtest_pipelines.strategies import catalogue
from backtest_pipelines.strategies.parameters import ParameterValue, Percent, plain_decimal
from backtest_pipelines.strategies.variants import Variant

ExitAtExpiry: TypeAlias = Literal["close", "intrinsic"]
EXITS_AT_EXPIRY: tuple[ExitAtExpiry, ...] = ("close", "intrinsic")
DEFAULT_BROKERAGE_INR_PER_ORDER = Decimal(20)
MAX_BROKERAGE_INR_PER_ORDER = Decimal(10_000)
ISO_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Phase:
    """A trading phase: sessions from start to end, both included, are traded."""

    start: date
    end: date


@dataclass(frozen=True)
class Question:
    """What a backtest is asked. Build it with `ask`, which checks everything.

    Attributes
    ----------
    variant : Variant
    symbol : str
    parameters : Mapping of str to int or Decimal
        Every parameter of the variant, in the variant's order.
    from_date, to_date : date or None
        The data is cut to these dates, both included, before anything is computed.
    phases : tuple of Phase
        Sorted, without overlap; empty means that every session is traded.
    exit_at_expiry : {"close", "intrinsic"}
        Price of an option that is left on its expiry day.
    brokerage_inr_per_order : Decimal or None
        None: no costs are computed.
    """

    variant: Variant
    symbol: str
    parameters: Mapping[str, ParameterValue]
    from_date: date | None
    to_date: date | None
    phases: tuple[Phase, ...]
    exit_at_expiry: ExitAtExpiry
    brokerage_inr_per_order: Decimal | None

    def canonical(self) -> dict[str, object]:
        """Return the question in its one JSON form: decimals as text, ISO dates."""
        return {
            "variant": self.variant.name,
            "symbol": self.symbol,
            "parameters": {
                name: value if isinstance(value, int) else str(value) for name, value in self.parameters.items()
            },
            "from_date": self.from_date.isoformat() if self.from_date else None,
            "to_date": self.to_date.isoformat() if self.to_date else None,
            "phases": [[phase.start.isoformat(), phase.end.isoformat()] for phase in self.phases],
            "exit_at_expiry": self.exit_at_expiry,
            "brokerage_inr_per_order": (
                None if self.brokerage_inr_per_order is None else str(self.brokerage_inr_per_order)
            ),
        }

    @cached_property
    def canonical_text(self) -> str:
        """The same as text, made once: a question that a server knows is asked again and again."""
        return canonical_json(self.canonical())


def ask(  # noqa: PLR0913 - the parts of a question, all but two by keyword
    variant: str,
    symbol: str = "NIFTY",
    parameters: Mapping[str, object] | None = None,
    *,
    from_date: date | str | None = None,
    to_date: date | str | None = None,
    phases: Iterable[tuple[date | str, date | str]] = (),
    exit_at_expiry: str = "close",
    costs: bool = False,
    brokerage_inr_per_order: object = None,
) -> Question:
    """Check every part of a request and return the question.

    Parameters
    ----------
    variant : str
        A name of the catalogue.
    symbol : {"NIFTY", "BANKNIFTY", "FINNIFTY"}
    parameters : Mapping, optional
        By name; absent ones take their default. Numbers or their text.
    from_date, to_date : date or ISO text, optional
    phases : iterable of (start, end), optional
    exit_at_expiry : {"close", "intrinsic"}
    costs : bool
        Whether charges are computed.
    brokerage_inr_per_order : number, optional
        INR, 0 to 10,000, default 20; only with ``costs``.

    Raises
    ------
    BadRequestError
        Naming field, value and limit of the first part that is wrong.
    """
    entry = catalogue.variant(variant)
    check_symbol(symbol)
    if exit_at_expiry not in EXITS_AT_EXPIRY:
        raise BadRequestError("exit_at_expiry", exit_at_expiry, f"allowed: {', '.join(EXITS_AT_EXPIRY)}")
    first = None if from_date is None else _date("from_date", from_date)
    last = None if to_date is None else _date("to_date", to_date)
    if first and last and first > last:
        raise BadRequestError("from_date", first.isoformat(), f"allowed: not after to_date, {last.isoformat()}")
    return Question(
        variant=entry,
        symbol=symbol,
        parameters=_parameters(entry, parameters or {}),
        from_date=first,
        to_date=last,
        phases=_phases(phases),
        exit_at_expiry="intrinsic" if exit_at_expiry == "intrinsic" else "close",
        brokerage_inr_per_order=_brokerage(costs=costs, value=brokerage_inr_per_order),
    )


def check_symbol(symbol: str) -> None:
    """Refuse what is no symbol.

    Raises
    ------
    BadRequestError
        Naming the symbols.
    """
    if symbol not in SYMBOLS:
        raise BadRequestError("symbol", symbol, catalogue.limit_of_names(symbol, SYMBOLS))


def _parameters(variant: Variant, given: Mapping[str, object]) -> dict[str, ParameterValue]:
    names = tuple(parameter.name for parameter in variant.parameters)
    for name in given:
        if name not in names:
            raise BadRequestError("parameter", name, catalogue.limit_of_names(name, names))
    return {
        parameter.name: parameter.normalise(given.get(parameter.name, parameter.default))
        for parameter in variant.parameters
    }


def _date(field: str, value: date | str) -> date:
    if type(value) is date:
        return value
    try:
        return date.fromisoformat(value if isinstance(value, str) and ISO_DATE.fullmatch(value) else "")
    except ValueError:
        raise BadRequestError(field, value, "allowed: an ISO date such as 2021-11-30") from None


def _phases(given: Iterable[tuple[date | str, date | str]]) -> tuple[Phase, ...]:
    phases = []
    for number, pair in enumerate(given, start=1):
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise BadRequestError(f"phases, row {number}", pair, "allowed: a start and an end date")
        start, end = pair
        phase = Phase(_date(f"phases, row {number}, start", start), _date(f"phases, row {number}, end", end))
        if phase.start > phase.end:
            limit = f"allowed: not after its end, {phase.end.isoformat()}"
            raise BadRequestError(f"phases, row {number}, start", phase.start.isoformat(), limit)
        phases.append(phase)
    phases.sort()
    for before, after in pairwise(phases):
        if after.start <= before.end:
            limit = f"allowed: phases that do not overlap; the one before ends {before.end.isoformat()}"
            raise BadRequestError("phases", f"{after.start.isoformat()} to {after.end.isoformat()}", limit)
    return tuple(phases)


def _brokerage(*, costs: bool, value: object) -> Decimal | None:
    if not costs:
        if value is not None:
            raise BadRequestError("brokerage_inr_per_order", value, "allowed: only where costs are asked for")
        return None
    if value is None:
        return DEFAULT_BROKERAGE_INR_PER_ORDER
    limit = f"allowed: 0 to {MAX_BROKERAGE_INR_PER_ORDER} INR, whole paise"
    rule = Percent("brokerage_inr_per_order", Decimal(0), Decimal(0), MAX_BROKERAGE_INR_PER_ORDER, "")
    try:
        number = rule.normalise(value)
    except BadRequestError:
        raise BadRequestError("brokerage_inr_per_order", value, limit) from None
    if number != round(number, 2):
        raise BadRequestError("brokerage_inr_per_order", value, limit)
    return plain_decimal(number)
