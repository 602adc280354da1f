"""Refuses requests that are too many: of one caller within a second, or of all at the same time."""

from __future__ import annotations

import time

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from backtest_pipelines.api.login.scopes import OPEN
from backtest_pipelines.api.problems import RETRY_AFTER_S, problem


class RequestLimits:
    """An ASGI application that passes on as many http requests as another one shall have to answer.

    Whoever asks whether the service is there is always answered. Websockets are not counted.

    Parameters
    ----------
    app : ASGI application
    per_s : int
        Requests of one caller, a token or an address, in each second of the clock.
    at_once : int
        Requests of all callers under way.
    """

    def __init__(self, app: ASGIApp, *, per_s: int, at_once: int) -> None:
        self.app = app
        self._per_s = per_s
        self._at_once = at_once
        self._under_way = 0
        self._second = 0
        self._asked: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        refused = self._refused(scope)
        if refused is not None:
            await refused(scope, receive, send)
            return
        self._under_way += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self._under_way -= 1

    def _refused(self, scope: Scope) -> Response | None:
        second = int(time.monotonic())
        if second != self._second:
            self._second = second
            self._asked.clear()
        caller: str = scope.get("caller") or address(scope)
        asked = self._asked[caller] = self._asked.get(caller, 0) + 1
        if asked > self._per_s:
            return _too_many(f"{caller} asks too often", "BACKTEST_REQUESTS_PER_S", self._per_s, "a second")
        if self._under_way >= self._at_once:
            return _too_many("too many ask at once", "BACKTEST_REQUESTS_AT_ONCE", self._at_once, "under way")
        return None


def address(scope: Scope) -> str:
    """Return where a connection comes from."""
    client = scope.get("client")
    return client[0] if client else "?"


def _too_many(what: str, setting: str, most: int, of: str) -> Response:
    limit = f"allowed: {most} requests {of}"
    detail = f"{what}; {limit}; {setting} changes that"
    return problem(429, detail, {"Retry-After": str(RETRY_AFTER_S)}, limit=limit)
