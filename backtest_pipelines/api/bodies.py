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


async def read_body(request: Request) -> bytes:
    """Return the body of a request, which must say that it is JSON.

    Raises
    ------
    HTTPException
        If it does not, or is too large.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, f"got {media_type or 'no media type'}; allowed: application/json")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"the body is too large; allowed: {MAX_BODY_BYTES:,} bytes")
    return bytes(body)


def json_of(body: bytes) -> object:
    """Return what a body says.

    Raises
    ------
    HTTPException
        If it is no JSON.
    BadRequestError
        If an object in it has two members of one name, of which one would be dropped.
    """
    try:
        return json.loads(body, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"the body is no JSON: {error}") from error


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) < len(members):
        values: dict[str, list[object]] = {}
        for name, value in members:
            values.setdefault(name, []).append(value)
        name = next(name for name, given in values.items() if len(given) > 1)
        raise BadRequestError(name, values[name], "allowed: once")
    return found


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
    key = {
        "name": IDEMPOTENCY_KEY,
        "in": "header",
        "required": False,
        "description": "your own id of the request: sent again, it is not done again",
        "schema": REQUEST_ID.json_schema(),
    }
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
