"""Bodies of requests: from a caller's bytes to fields that are known and of the right type."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, StrictStr, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.strategies import catalogue

MAX_BODY_BYTES: Final = 1_000_000
IDEMPOTENCY_KEY: Final = "Idempotency-Key"

RequestId = Annotated[StrictStr, Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
REQUEST_ID: Final[TypeAdapter[str]] = TypeAdapter(RequestId)

_Body = TypeVar("_Body", bound=BaseModel)


async def read_json(request: Request) -> object:
    """Return the body of a request, which must be JSON and say so.

    Raises
    ------
    HTTPException
        If it is not, or is too large.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, f"got {media_type or 'no media type'}; allowed: application/json")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body is too large; allowed: {MAX_BODY_BYTES:,} bytes")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is no JSON: {error}") from error


def checked(model: type[_Body], content: object) -> _Body:
    """Return a body with its fields.

    Raises
    ------
    BadRequestError
        If a field is not known.
    RequestValidationError
        If one is missing, or of another type.
    """
    for name, value in content.items() if isinstance(content, dict) else ():
        if name not in model.model_fields:
            raise BadRequestError(name, value, catalogue.limit_of_names(name, tuple(model.model_fields)))
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def documented(model: type[BaseModel]) -> dict[str, object]:
    """Return what the OpenAPI document says of a route that reads this body itself, and the key of the request."""
    schema = model.model_json_schema()
    content = {"application/json": {"schema": _inlined(schema, schema.get("$defs", {}))}}
    key = {"name": IDEMPOTENCY_KEY, "in": "header", "required": False, "schema": REQUEST_ID.json_schema()}
    return {"parameters": [key], "requestBody": {"required": True, "content": content}}


def _inlined(schema: object, definitions: Mapping[str, object]) -> object:
    """Return a schema without references, which would be looked for at the root of the document."""
    if isinstance(schema, list):
        return [_inlined(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _inlined(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    return {name: _inlined(part, definitions) for name, part in schema.items() if name != "$defs"}
