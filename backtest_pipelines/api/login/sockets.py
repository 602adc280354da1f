"""A websocket whose messages are checked on their way: each document of GraphQL, and whether the login still holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.types import Message, Receive, Send

from backtest_pipelines.api.login import graphql_documents
from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.errors import BacktestError, BadRequestError

POLICY_VIOLATION: Final = 1008
_LONGEST_REASON: Final = 120
"""Bytes that fit into the frame of a close."""
_WITH_DOCUMENT: Final = frozenset({"start", "subscribe"})
_WITHOUT_DOCUMENT: Final = frozenset({"connection_init", "connection_terminate", "stop", "complete", "ping", "pong"})
"""Messages of the subprotocols ``graphql-ws`` and ``graphql-transport-ws``."""


class CheckedSocket:
    """Both ends of a websocket: what is received is checked first, and nothing is sent once the login has ended.

    Parameters
    ----------
    receive, send
        Of the caller.
    scope : Scope
        What the caller may do.
    is_valid : callable
        Says whether the caller's login holds.
    """

    def __init__(self, receive: Receive, send: Send, scope: Scope, is_valid: Callable[[], bool]) -> None:
        self._receive = receive
        self._send = send
        self._scope = scope
        self._is_valid = is_valid
        self._is_closed = False

    async def receive(self) -> Message:
        """Return the caller's next message; its end, where the message may not pass."""
        message = await self._receive()
        if message["type"] != "websocket.receive":
            return message
        reason = self._complaint(message)
        if reason is None:
            return message
        await self._close(reason)
        return {"type": "websocket.disconnect", "code": POLICY_VIOLATION}

    async def send(self, message: Message) -> None:
        """Send a message to the caller, or close where its login has ended."""
        if self._is_closed:
            return
        if message["type"] == "websocket.send" and not self._holds():
            await self._close("the login has ended")
            return
        await self._send(message)

    def _complaint(self, message: Message) -> str | None:
        if not self._holds():
            return "the login has ended"
        return None if self._scope is Scope.ADMIN else _complaint(message.get("text"), self._scope)

    def _holds(self) -> bool:
        try:
            return self._is_valid()
        except BacktestError:
            return False

    async def _close(self, reason: str) -> None:
        if not self._is_closed:
            self._is_closed = True
            short = reason.encode()[:_LONGEST_REASON].decode(errors="ignore")
            await self._send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": short})


def _complaint(text: str | None, scope: Scope) -> str | None:
    """Return why a message may not pass; None where it may."""
    if text is None:
        return "messages are taken as text only"
    if len(text) > graphql_documents.LONGEST_REQUEST:
        return f"messages are taken up to {graphql_documents.LONGEST_REQUEST} characters"
    try:
        message = graphql_documents.decoded(text)
        kind = message.get("type") if isinstance(message, dict) else None
        if kind in _WITHOUT_DOCUMENT:
            return None
        if kind not in _WITH_DOCUMENT:
            return "no message of graphql-ws or graphql-transport-ws"
        needed = graphql_documents.scope_of(message.get("payload"))
    except BadRequestError as error:
        return str(error)
    return None if needed <= scope else f"this needs the scope {needed.word}"
