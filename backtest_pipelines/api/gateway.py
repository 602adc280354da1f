"""Everything that is not the API's own goes to Dagster's web server, streamed both ways."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine, Iterable
from typing import Any, Final

import aiohttp
from starlette.types import Receive, Scope, Send
from yarl import URL

from backtest_pipelines.api.problems import RETRY_AFTER_S, problem
from backtest_pipelines.api.trouble import Trouble
from backtest_pipelines.api.web_server import why_no_answer
from backtest_pipelines.api.websocket_relay import relay

logger = logging.getLogger(__name__)

CONNECT_S: Final = 5.0
"""How long a connection to the web server may take. What it answers then may take as long as it likes."""
IDLE_S: Final = 4.0
"""How long an idle connection is kept: the web server closes its end after 5 s."""

_NOT_PASSED_ON: Final = frozenset(
    {
        b"connection",
        b"expect",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Headers that concern one connection only."""


def new_session() -> aiohttp.ClientSession:
    """Return a session that adds nothing of its own to what it sends: no cookies, no headers, no proxy."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        trust_env=False,
    )


class Gateway:
    """An ASGI application: the web server at a URL, as if it were here, http and websockets.

    Parameters
    ----------
    url : str
        Such as http://127.0.0.1:3000.
    session : aiohttp.ClientSession
        See `new_session`.
    trouble : Trouble
        What is said where the web server does not answer.
    """

    def __init__(self, url: str, session: aiohttp.ClientSession, trouble: Trouble) -> None:
        self._url = url
        self._session = session
        self._trouble = trouble

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a websocket on."""
        try:
            headers = passed_on(scope["headers"])
            target = self._target(scope)
        except UnicodeDecodeError:
            await problem(400, "The path or a header is not written in UTF-8.")(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await relay(f"ws{str(target).removeprefix('http')}", headers, self._trouble, scope, receive, send)
        else:
            await self._http(target, headers, scope, receive, send)

    async def _http(
        self, target: URL, headers: list[tuple[str, str]], scope: Scope, receive: Receive, send: Send
    ) -> None:
        request = _Request(receive)
        try:
            # Content-Length is passed on; a body without one goes out in chunks, as it came in.
            answer = await self._session.request(
                scope["method"], target, headers=headers, data=await request.body(), allow_redirects=False
            )
        except (aiohttp.ClientError, OSError) as error:
            if not request.is_gone:
                self._trouble.note(why_no_answer(error))
                detail = "Dagster's web server does not answer; it may be starting. Try again in a moment."
                await problem(502, detail, {"Retry-After": str(RETRY_AFTER_S)})(scope, receive, send)
            return
        self._trouble.note("")
        async with answer:
            await _first_of(_pass_back(answer, send), request.wait_until_gone())

    def _target(self, scope: Scope) -> URL:
        # The path goes out exactly as it came in; only its beginning was checked to be a slash.
        path = scope["raw_path"].decode()
        query = scope["query_string"].decode()
        return URL(f"{self._url}{path}{'?' if query else ''}{query}", encoded=True)


class _Request:
    """What a caller sends, and whether it is gone."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._has_more = True
        self.is_gone = False

    async def body(self) -> bytes | AsyncIterator[bytes] | None:
        """Return the body: whole when it came in one piece, as an iterator otherwise."""
        first = await self._next()
        return self._pieces(first) if self._has_more else first or None

    async def wait_until_gone(self) -> None:
        """Wait until the caller has hung up."""
        while not self.is_gone:
            await self._next()

    async def _pieces(self, piece: bytes) -> AsyncIterator[bytes]:
        yield piece
        while self._has_more:
            yield await self._next()
        if self.is_gone:
            msg = "the caller hung up before its request was whole"
            raise ConnectionAbortedError(msg)

    async def _next(self) -> bytes:
        message = await self._receive()
        self.is_gone = message["type"] == "http.disconnect"
        self._has_more = message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        return piece


def passed_on(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    """Return a caller's headers without those that concern its own connection."""
    kept = _end_to_end(headers)
    return [(name.decode(), value.decode()) for name, value in kept if name.lower() != b"host"]


def _end_to_end(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    every = list(headers)
    named = {
        word.strip().lower() for name, value in every if name.lower() == b"connection" for word in value.split(b",")
    }
    return [header for header in every if header[0].lower() not in _NOT_PASSED_ON | named]


async def _pass_back(answer: aiohttp.ClientResponse, send: Send) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": _end_to_end(answer.raw_headers)})
    try:
        async for piece in answer.content.iter_any():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except (aiohttp.ClientError, OSError) as error:
        # Without an end of the answer the server closes the connection: the caller sees that it is not whole.
        logger.warning("the web server broke off its answer: %s", error)
        return
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _first_of(*works: Coroutine[Any, Any, None]) -> None:
    """Do several things until one is done; an error of that one is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()
