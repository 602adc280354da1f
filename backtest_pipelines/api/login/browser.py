"""How a browser signs in and out: the form, the link that works once, and the cookie."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qs, quote

from starlette.requests import HTTPConnection, Request
from starlette.responses import RedirectResponse, Response

from backtest_pipelines.api.login import pages
from backtest_pipelines.api.login.bodies import body
from backtest_pipelines.api.login.credentials import COOKIE, COOKIE_BY_TLS
from backtest_pipelines.api.login.failures import Failures
from backtest_pipelines.api.login.grants import LINK_PATH, SESSION_S, Grants
from backtest_pipelines.api.login.tokens import Token, Tokens
from backtest_pipelines.api.problems import problem

_METHODS: Final = {pages.LOGIN: ("GET", "HEAD", "POST"), LINK_PATH: ("GET",), pages.LOGOUT: ("POST",)}
PATHS: Final = frozenset(_METHODS)
_LONGEST_FORM: Final = 10_000
_FORM: Final = "application/x-www-form-urlencoded"


class Browser:
    """The requests of the login itself.

    Parameters
    ----------
    tokens : Tokens
    sessions, links : Grants
    failures : Failures
    is_behind_tls : bool
        Whether browsers come over TLS, so that the cookie must not travel otherwise.
    """

    def __init__(
        self, tokens: Tokens, sessions: Grants, links: Grants, failures: Failures, *, is_behind_tls: bool
    ) -> None:
        self.cookie = COOKIE_BY_TLS if is_behind_tls else COOKIE
        self._tokens = tokens
        self._sessions = sessions
        self._links = links
        self._failures = failures
        self._is_behind_tls = is_behind_tls

    async def answer(self, path: str, request: Request, caller: Token | None, session: str | None) -> Response:
        """Answer a request.

        Parameters
        ----------
        path : str
            One of `PATHS`.
        request : Request
        caller : Token or None
            Who is signed in already.
        session : str or None
            Value of the cookie.
        """
        allowed = _METHODS[path]
        if request.method not in allowed:
            return problem(405, f"{path} does not take {request.method}.", {"Allow": ", ".join(allowed)})
        if request.method == "POST":
            return await self._post(path, request, session)
        if path == LINK_PATH:
            return await self._by_link(request)
        if path == pages.LOGIN and caller is not None:
            return pages.signed_in(caller)
        return pages.sign_in(pages.local_path(request.query_params.get("next", pages.HOME)))

    async def _post(self, path: str, request: Request, session: str | None) -> Response:
        if not is_of_a_page(request):
            return problem(403, "A form is taken from this server's own pages only: send Origin as browsers do.")
        return await (self._out(session) if path == pages.LOGOUT else self._by_form(request))

    async def _by_form(self, request: Request) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
            return problem(415, f"A sign-in is taken as {_FORM} only.")
        sent = await body(request.receive, _LONGEST_FORM)
        if sent is None:
            return problem(413, f"A sign-in has at most {_LONGEST_FORM} bytes.")
        form = parse_qs(sent.decode("latin-1"))
        next_page = pages.local_path(form.get("next", [pages.HOME])[0])
        token = self._tokens.find(form.get("token", [""])[0].strip().encode())
        if token is None:
            return self._refused(request, next_page, "This token is not known.", "the token is not known")
        return await self._in(token, next_page)

    async def _by_link(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            # Another site could sign somebody in with a link of its own making, to see what they do.
            return problem(403, "This link is for the address bar: another site must not sign anybody in.")
        code = request.query_params.get("code", "")
        token = await asyncio.to_thread(self._links.revoke, code)
        if token is None:
            return self._refused(
                request, pages.HOME, "This link was used before, or is too old.", "the link is not valid any more"
            )
        return await self._in(token, pages.HOME)

    def _refused(self, request: Request, next_page: str, complaint: str, reason: str) -> Response:
        wait_s = self._failures.note(request.client.host if request.client else "?", reason)
        if wait_s is None:
            return pages.sign_in(next_page, complaint, 401)
        answer = pages.sign_in(next_page, f"Too many logins failed. Try again in {wait_s} seconds.", 429)
        answer.headers["Retry-After"] = str(wait_s)
        return answer

    async def _in(self, token: Token, next_page: str) -> Response:
        answer = to(next_page)
        self._set_cookie(answer, await asyncio.to_thread(self._sessions.issue, token), SESSION_S)
        return answer

    async def _out(self, session: str | None) -> Response:
        if session is not None:
            await asyncio.to_thread(self._sessions.revoke, session)
        answer = to(pages.LOGIN)
        self._set_cookie(answer, "", 0)
        return answer

    def _set_cookie(self, answer: Response, value: str, age_s: int) -> None:
        # Lax and not Strict: a link to a run that somebody was sent must open. What such a link can do is a GET of a
        # page, which changes nothing; the guard refuses everything else that another site has a browser send.
        answer.set_cookie(
            self.cookie, value, max_age=age_s, path="/", httponly=True, samesite="lax", secure=self._is_behind_tls
        )


def is_of_a_page(request: HTTPConnection) -> bool:
    """Say whether a browser tells where a request comes from: the guard has refused all other pages already."""
    return "origin" in request.headers or "sec-fetch-site" in request.headers


def to_sign_in(request: Request) -> Response:
    """Send a browser to the sign-in page, and from there back to the page that it wanted."""
    path, query = (request.scope[part].decode("latin-1") for part in ("raw_path", "query_string"))
    wanted = pages.local_path(f"{path}{'?' if query else ''}{query}")
    return to(pages.LOGIN if wanted == pages.HOME else f"{pages.LOGIN}?next={quote(wanted, safe='/')}")


def to(path: str) -> Response:
    """Send a browser to a path of this server, by GET."""
    return RedirectResponse(path, 303, {"Cache-Control": "no-store"})
