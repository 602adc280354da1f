"""Counts the http requests of this process: those under way, and those that were answered, by method and status."""

from __future__ import annotations

from collections import Counter
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Any other is counted as one: callers may invent as many as they like."""
OTHER: Final = "other"


class Traffic:
    """An ASGI application that counts what another one answers.

    Parameters
    ----------
    app : ASGI application

    Attributes
    ----------
    under_way : int
        Requests that are being answered.
    answered : Counter of (str, int or None)
        By method and status; None where the caller hung up before the answer began.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.under_way = 0
        self.answered: Counter[tuple[str, int | None]] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status: int | None = None

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self.under_way += 1
        try:
            await self.app(scope, receive, sending)
        finally:
            self.under_way -= 1
            method = scope["method"]
            self.answered[method if method in METHODS else OTHER, status] += 1
