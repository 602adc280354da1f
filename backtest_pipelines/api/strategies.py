"""The routes of the catalogue: which variants there are, and what they can be asked."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backtest_pipelines.api.problems import UnknownError
from backtest_pipelines.api.question_fields import SYMBOL_SCHEMA, parameter_schema
from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.strategies import catalogue
from backtest_pipelines.strategies.variants import Variant

router = APIRouter(prefix="/strategies", tags=["strategies"])


class Strategy(BaseModel):
    """A variant, and what it can be asked."""

    name: str
    description: str
    version: str = Field(description="revision of its rules")
    parameters: dict[str, Any] = Field(description="JSON Schema of the parameters and the symbol")


@router.get("")
async def every() -> list[Strategy]:
    """List the variants."""
    return [_view(variant) for variant in catalogue.variants()]


@router.get("/{name}")
async def one(name: str) -> Strategy:
    """Return one variant."""
    return _view(known_variant(name))


def known_variant(name: str) -> Variant:
    """Return the variant of a name that is part of a path.

    Raises
    ------
    UnknownError
        If there is none.
    """
    try:
        return catalogue.variant(name)
    except BadRequestError as error:
        raise UnknownError(str(error)) from error


def named_variant(field: str, name: str) -> Variant:
    """Return the variant that a field of a request names.

    Raises
    ------
    BadRequestError
        If there is none.
    """
    try:
        return catalogue.variant(name)
    except BadRequestError as error:
        raise BadRequestError(field, name, error.limit) from error


def _view(variant: Variant) -> Strategy:
    return Strategy(
        name=variant.name,
        description=variant.description,
        version=str(variant.revision),
        parameters={
            "type": "object",
            "additionalProperties": False,
            "properties": {
                **{parameter.name: parameter_schema(parameter) for parameter in variant.parameters},
                "symbol": SYMBOL_SCHEMA,
            },
        },
    )
