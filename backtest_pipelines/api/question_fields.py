"""Fields of a question in bodies: of which type they are, and what the OpenAPI document says that they may hold.

What they may hold is checked by the question itself, so that each door refuses it in the same words.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StrictBool, StrictStr

from backtest_pipelines.market.symbols import SYMBOLS
from backtest_pipelines.strategies import catalogue
from backtest_pipelines.strategies.parameters import Choice, Parameter
from backtest_pipelines.strategies.question import EXITS_AT_EXPIRY, MAX_BROKERAGE_INR_PER_ORDER


def parameter_schema(parameter: Parameter) -> dict[str, Any]:
    """Return a parameter as JSON Schema."""
    if isinstance(parameter, Choice):
        return {
            "type": "integer",
            "description": f"{parameter.description}; {parameter.limit}",
            "enum": list(parameter.meanings),
            "default": parameter.default,
        }
    return {
        "type": "number",
        "description": f"{parameter.description}; {parameter.limit}",
        "minimum": float(parameter.low),
        "maximum": float(parameter.high),
        "default": float(parameter.default),
    }


SYMBOL_SCHEMA: dict[str, Any] = {
    "type": "string",
    "description": "Index whose options and futures are traded",
    "enum": list(SYMBOLS),
    "default": SYMBOLS[0],
}
PARAMETERS_SCHEMA: dict[str, Any] = {
    "additionalProperties": False,
    "properties": {
        parameter.name: parameter_schema(parameter)
        for variant in catalogue.variants()
        for parameter in variant.parameters
    },
}
"""Of all variants together; a variant's own are in the catalogue."""

VariantName = Annotated[StrictStr, Field(json_schema_extra={"enum": [each.name for each in catalogue.variants()]})]
Symbol = Annotated[StrictStr, Field(json_schema_extra=SYMBOL_SCHEMA)]
IsoDate = Annotated[StrictStr, Field(json_schema_extra={"format": "date"})]
FromDate = Annotated[IsoDate | None, Field(description="ISO date, included; default: the first session")]
ToDate = Annotated[IsoDate | None, Field(description="ISO date, included; default: the last session")]
ExitAtExpiry = Annotated[StrictStr, Field(json_schema_extra={"enum": list(EXITS_AT_EXPIRY)})]
Brokerage = Annotated[
    Any,
    Field(
        description="INR, whole paise; only with costs, then 20 by default",
        json_schema_extra={"type": ["number", "null"], "minimum": 0, "maximum": int(MAX_BROKERAGE_INR_PER_ORDER)},
    ),
]
UseCache = Annotated[StrictBool, Field(description="false computes afresh")]
