"""Query parameters that no route knows are refused: a mistyped filter would leave everything in."""

from __future__ import annotations

from collections import Counter

from fastapi import Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Cookie, Header, Path
from fastapi.routing import APIRoute

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.strategies import catalogue


async def only_known_queries(request: Request) -> None:
    """Pass a request whose route knows all of its query parameters, each given once.

    Raises
    ------
    BadRequestError
        Naming the first that is not, and those that are.
    """
    if not request.scope["query_string"]:
        return
    route: APIRoute = request.scope["route"]
    fields = get_flat_params(route.dependant)
    known = tuple(field.alias for field in fields if not isinstance(field.field_info, Path | Header | Cookie))
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            limit = catalogue.limit_of_names(name, known) if known else "allowed: no query parameters here"
            raise BadRequestError(name, request.query_params[name], limit)
        if times > 1:
            raise BadRequestError(name, request.query_params.getlist(name), "allowed: once")
