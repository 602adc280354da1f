"""The login before everything else that the one port leads to: REST, GraphQL, Dagster's pages and websockets."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from backtest_pipelines.api.guard import normal_path
from backtest_pipelines.api.login import browser, graphql_requests, pages
from backtest_pipelines.api.login.credentials import Credentials, bearer, taken
from backtest_pipelines.api.login.failures import Failures
from backtest_pipelines.api.login.grants import links, sessions
from backtest_pipelines.api.login.scopes import GRAPHQL, SAFE, WORDS, Scope, needed
from backtest_pipelines.api.login.sockets import POLICY_VIOLATION, CheckedSocket
from backtest_pipelines.api.login.tokens import Token, Tokens
from backtest_pipelines.api.problems import problem
from backtest_pipelines.api.request_limits import address
from backtest_pipelines.api.trouble import Trouble
from backtest_pipelines.errors import BacktestError

logger = logging.getLogger(__name__)

_PROGRAMS: Final = ("/api", GRAPHQL)
"""Paths that programs ask: they are told that they have to log in, and not sent to a page."""
_PAGE: Final = "/api/v1/docs"
"""The one below them that people open."""


class Login:
    """An ASGI application that passes on what its caller may do, http and websockets.

    Parameters
    ----------
    app : ASGI application
    home : Path
        Where the tokens are.
    is_open : bool
        Whether everything passes as long as no token was ever made.
    is_behind_tls : bool
        Whether browsers come over TLS.
    """

    def __init__(self, app: ASGIApp, home: Path, *, is_open: bool, is_behind_tls: bool) -> None:
        self.app = app
        self._is_open = is_open
        self._tokens = Tokens(home)
        self._sessions = sessions(home, self._tokens)
        self._failures = Failures()
        self._trouble = Trouble(
            logger, "the login cannot be checked, so that nobody passes", "the login can be checked again"
        )
        self._browser = browser.Browser(
            self._tokens, self._sessions, links(home, self._tokens), self._failures, is_behind_tls=is_behind_tls
        )

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Refuse, answer what concerns the login itself, or pass on without what the caller showed."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        shown, headers = taken(scope["headers"], self._browser.cookie)
        scope = {**scope, "headers": headers}
        try:
            answer, receive, send = await self._way(shown, scope, receive, send)
            self._trouble.note("")
        except BacktestError as error:
            self._trouble.note(str(error))
            answer = problem(503, "The login cannot be checked just now; the log of the API says why.")
        await answer(scope, receive, send)

    async def _way(
        self, shown: Credentials, scope: Connection, receive: Receive, send: Send
    ) -> tuple[ASGIApp, Receive, Send]:
        """Return what answers, and what it receives from and sends to."""
        if self._is_open and self._tokens.known() is None:
            # Without a login its pages lead back to where everything is.
            return (browser.to(pages.HOME) if scope["path"] in browser.PATHS else self.app), receive, send
        caller = self._caller(shown)
        if scope["type"] == "websocket":
            if caller is None or (shown.authorization is None and not browser.is_of_a_page(HTTPConnection(scope))):
                return _closed, receive, send
            socket = CheckedSocket(receive, send, caller.scope, lambda: self._caller(shown) is not None)
            return self.app, socket.receive, socket.send
        if caller is not None:
            scope["caller"] = caller.name  # counted by it, wherever it asks from
        path = normal_path(scope["path"])
        request = Request(scope, receive)
        if path in browser.PATHS:
            return await self._browser.answer(path, request, caller, shown.session), receive, send
        answer = self._complaint(request, path, shown, caller)
        if answer is None and path == GRAPHQL and caller is not None and caller.scope < Scope.ADMIN:
            asked, receive = await graphql_requests.scope_of(scope, receive)
            answer = asked if isinstance(asked, Response) else _too_little(caller, asked)
        return answer or self.app, receive, send

    def _caller(self, shown: Credentials) -> Token | None:
        if shown.authorization is not None:
            secret = bearer(shown.authorization)
            return None if secret is None else self._tokens.find(secret)
        return None if shown.session is None else self._sessions.token(shown.session)

    def _complaint(self, request: Request, path: str, shown: Credentials, caller: Token | None) -> Response | None:
        """Return why a request may not pass."""
        # What is behind reads a path as it is written or as it is meant: the stricter of both counts.
        wanted = [needed(request.method, each) for each in (request.scope["path"], path)]
        widest = max((each for each in wanted if each is not None), default=None)
        if widest is None:
            return None
        if caller is None:
            return self._unknown(request, path, shown)
        is_by_cookie = shown.authorization is None
        if is_by_cookie and request.method not in SAFE and not browser.is_of_a_page(request):
            return problem(403, "With a session only this server's own pages change things: a program sends a token.")
        return _too_little(caller, widest)

    def _unknown(self, request: Request, path: str, shown: Credentials) -> Response:
        """Return what a caller without a login is told."""
        limit = "allowed: Bearer and a token of this installation"
        if shown.authorization is not None:
            wait_s = self._failures.note(address(request.scope), "the token is not known")
            if wait_s is not None:
                detail = f"Too many logins failed; try again in {wait_s} seconds."
                return problem(429, detail, {"Retry-After": str(wait_s)})
            value, challenge = "another", 'Bearer error="invalid_token"'
        elif request.method in SAFE and "text/html" in request.headers.get("accept", "") and not _is_of_programs(path):
            return browser.to_sign_in(request)
        else:
            value, challenge = "none", "Bearer"
        detail = f"Authorization: got {value}; {limit}"
        return problem(401, detail, {"WWW-Authenticate": challenge}, field="Authorization", value=value, limit=limit)


async def _closed(_scope: Connection, _receive: Receive, send: Send) -> None:
    """Refuse to open a websocket: the handshake is answered with 403."""
    await send({"type": "websocket.close", "code": POLICY_VIOLATION, "reason": "log in first"})


def _too_little(caller: Token, scope: Scope) -> Response | None:
    """Return that a caller's scope does not reach, where it does not."""
    if caller.scope >= scope:
        return None
    limit = f"allowed: {' or '.join(WORDS[scope - 1 :])}"
    value = caller.scope.word
    return problem(
        403, f"scope: got {value}, of the token {caller.name}; {limit}", field="scope", value=value, limit=limit
    )


def _is_of_programs(path: str) -> bool:
    return path != _PAGE and any(path == each or path.startswith(f"{each}/") for each in _PROGRAMS)
