"""Routes that are asked more often than all others: their functions take the request as it is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from backtest_pipelines.api.known_queries import only_known_queries


class PlainRoute(APIRoute):
    """A route whose function is given the request alone and returns a response.

    FastAPI's way from a request to the parameters of a function, and back from its value, takes a tenth of the time
    of an answer that is kept.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what is called with each request."""

        async def handle(request: Request) -> Response:
            await only_known_queries(request)
            response: Response = await self.endpoint(request)
            return response

        return handle
