"""Every error of the API as a problem document (RFC 9457): title, status, detail, and field, value and limit."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from backtest_pipelines.errors import (
    BacktestError,
    BadDataError,
    BadRequestError,
    MissingDataError,
    UnavailableError,
)
from backtest_pipelines.records.jobs import RequestConflictError

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 1
"""What a caller is told to wait where a retry can help."""


class ConflictError(BacktestError):
    """What is asked for does not fit the state of the job. A retry cannot help."""


class UnknownError(BacktestError):
    """There is no such thing here, or not any more. A retry cannot help."""


class GoneError(BacktestError):
    """What was here was removed. A retry cannot help, asking its question again can."""


_STATUSES: Final[tuple[tuple[type[BacktestError], int], ...]] = (
    (ConflictError, 409),
    (RequestConflictError, 409),
    (UnknownError, 404),
    (GoneError, 410),
    (BadRequestError, 422),
    (MissingDataError, 404),
    (BadDataError, 500),
    (UnavailableError, 503),
    (BacktestError, 500),
)
"""The first class that an error belongs to decides."""


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **more: object) -> Response:
    """Return a problem document.

    Parameters
    ----------
    status : int
    detail : str
        What is wrong and what to do, for people.
    headers : Mapping of str to str, optional
    **more
        Further members, such as field, value and limit.
    """
    # The types of problems have no pages of their own: RFC 9457 has "about:blank" for that, titled as the status is.
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return Response(json.dumps(content), status, dict(headers or {}), MEDIA_TYPE)


def recorded_problem(error_type: str, message: str) -> Response:
    """Return the problem document of an error that is on record with the name of its class."""
    status = next((status for kind, status in _STATUSES if kind.__name__ == error_type), 500)
    return problem(status, message or error_type)


def shown(value: object) -> object:
    """Return a value as JSON can hold it: text, numbers and null as they are, all else as it would be written."""
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return repr(value)


def install(app: FastAPI) -> None:
    """Let every error of the app leave as a problem document."""
    app.add_exception_handler(BacktestError, _of_this_package)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(ClientDisconnect, _of_hanging_up)
    app.add_exception_handler(Exception, _of_a_bug)


async def _of_this_package(_: Request, error: Exception) -> Response:
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    more = (
        {"field": error.field, "value": shown(error.value), "limit": error.limit}
        if isinstance(error, BadRequestError)
        else {}
    )
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status == 503 else {}
    return problem(status, str(error), headers, **more)


async def _of_validation(_: Request, error: Exception) -> Response:
    """Name the first part of the request that pydantic refuses."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path")) or "body"
    limit = str(first["msg"])
    value = shown(first.get("input"))
    return problem(422, f"{field}: got {value!r}; {limit}", field=field, value=value, limit=limit)


async def _of_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    headers = {"Allow": _methods(request)} if error.status_code == 405 else error.headers
    return problem(error.status_code, str(error.detail), headers)


def _methods(request: Request) -> str:
    """Name all methods of a path: the route that refuses knows of its own ones alone."""
    path = request.scope["path"]
    routes = [route for route in iter_route_contexts(request.app.routes) if route.path_regex.match(path)]
    return ", ".join(sorted({method for route in routes for method in route.methods or ()}))


async def _of_hanging_up(_: Request, __: Exception) -> Response:
    return problem(400, "The caller hung up before its request was whole.")


async def _of_a_bug(_: Request, __: Exception) -> Response:
    # The server logs the traceback.
    return problem(500, "This is a bug of the API: its log has the traceback. Please report it.")
