"""A websocket passed on to Dagster's web server, message by message, until one end closes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.typing import Subprotocol

from backtest_pipelines.api.trouble import Trouble
from backtest_pipelines.api.web_server import why_no_answer

logger = logging.getLogger(__name__)

OPEN_S: Final = 5.0
CLOSE_S: Final = 2.0
_SUBPROTOCOLS: Final = frozenset({"graphql-ws", "graphql-transport-ws"})
_OF_THE_HANDSHAKE: Final = "sec-websocket-"
_INTERNAL_ERROR: Final = 1011
_CODES_NOT_SENT: Final = {1005: 1000, 1006: _INTERNAL_ERROR, 1015: _INTERNAL_ERROR}
"""Codes that only report what was seen: closed without a code, broken off, no TLS. On a wire they are errors."""


async def relay(
    url: str, headers: Iterable[tuple[str, str]], trouble: Trouble, scope: Scope, receive: Receive, send: Send
) -> None:
    """Open a websocket to a URL and pass everything on, both ways.

    Parameters
    ----------
    url : str
        Such as ws://127.0.0.1:3000/graphql.
    headers : iterable of (str, str)
        The caller's; those of its own handshake are left out, as this end makes one of its own.
    trouble : Trouble
        What is said where the web server does not answer.
    scope, receive, send
        The caller's end.
    """
    await receive()  # websocket.connect
    offered = [Subprotocol(name) for name in scope["subprotocols"] if name in _SUBPROTOCOLS]
    try:
        upstream = await connect(
            url,
            subprotocols=offered or None,
            additional_headers=[(name, value) for name, value in headers if not _is_of_the_handshake(name)],
            user_agent_header=None,
            compression=None,
            proxy=None,
            max_size=None,
            ping_interval=None,
            open_timeout=OPEN_S,
            close_timeout=CLOSE_S,
        )
    except (OSError, WebSocketException) as error:
        if isinstance(error, OSError):
            trouble.note(why_no_answer(error))
        else:
            logger.warning("the web server does not open a websocket: %s", error)
        # Accepted first: a browser tells its page the code of a close, but not why a handshake was refused.
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": _INTERNAL_ERROR, "reason": "no web server"})
        return
    trouble.note("")
    try:
        await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol})
        up = asyncio.create_task(_pass_up(receive, upstream))
        try:
            await _pass_down(upstream, send)
        finally:
            up.cancel()
            await asyncio.wait([up])
    finally:
        await upstream.close()


async def _pass_up(receive: Receive, upstream: ClientConnection) -> None:
    """Pass on what the caller sends; its close closes the other end, which ends `_pass_down`."""
    with suppress(ConnectionClosed):
        while (message := await receive())["type"] == "websocket.receive":
            text = message.get("text")
            await upstream.send(message["bytes"] if text is None else text)
        await upstream.close(_sendable(message.get("code", 1005)))


async def _pass_down(upstream: ClientConnection, send: Send) -> None:
    # A caller that is gone makes sending an OSError: there is nobody left to tell.
    with suppress(OSError):
        try:
            async for message in upstream:
                await send({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})
        except ConnectionClosed as closed:
            logger.info("the web server closed a websocket: %s", closed)
        code, reason = upstream.close_code, upstream.close_reason
        await send({"type": "websocket.close", "code": _sendable(code or 1006), "reason": reason or ""})


def _is_of_the_handshake(name: str) -> bool:
    return name.lower().startswith(_OF_THE_HANDSHAKE) or name.lower() == "origin"


def _sendable(code: int) -> int:
    return _CODES_NOT_SENT.get(code, code)
