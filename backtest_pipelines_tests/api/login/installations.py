"""An API with a token of each scope, before a stand-in for Dagster's web server."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path

import httpx

from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines_tests.api.processes import Api, api
from backtest_pipelines_tests.api.upstream import Upstream, upstream

WRONG = "btp_" + "w" * 43
QUERY = {"query": "query Q { version }"}
LAUNCH = {"query": "mutation L($x: ExecutionParams!) { launchRun(executionParams: $x) { __typename } }"}
DELETE = {"query": 'mutation D { deleteRun(runId: "x") { __typename } }'}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@dataclass(frozen=True)
class Guarded:
    """The API, what is behind it, and the secrets by the names of their scopes."""

    api: Api
    stand_in: Upstream
    secrets: Mapping[str, str]

    @property
    def url(self) -> str:
        return self.api.url

    @property
    def origin(self) -> dict[str, str]:
        """What a browser says of this server's own pages."""
        return {"Origin": self.url}

    def shown(self, caller: str | None) -> dict[str, str]:
        """Return the header of a caller: the name of a scope, any other text as a token, or None."""
        return {} if caller is None else {"Authorization": f"Bearer {self.secrets.get(caller, caller)}"}

    def ask(
        self, caller: str | None, method: str = "GET", path: str = "/runs", body: object = None, **headers: str
    ) -> httpx.Response:
        """Send a request as a program does."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return CLIENT.request(method, f"{self.url}{path}", json=body, headers={**self.shown(caller), **named})

    def sign_in(self, token: str, next_page: str = "/runs", **headers: str) -> httpx.Response:
        """Send the form as a browser does."""
        form = {"token": self.secrets.get(token, token), "next": next_page}
        return CLIENT.post(f"{self.url}/login", data=form, headers={**self.origin, **headers})

    def cookie(self, token: str) -> str:
        """Sign in and return the header of the cookie."""
        return self.sign_in(token).headers["set-cookie"].partition(";")[0]

    def raw(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes = b"") -> int:
        """Return the status of a request whose path and headers go out exactly as they are written."""
        connection = http.client.HTTPConnection("127.0.0.1", self.api.port, timeout=10)
        connection._validate_path = lambda _: None  # type: ignore[attr-defined]
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in [*headers, ("Content-Length", str(len(body)))]:
            connection.putheader(name, value)
        connection.endheaders(body)
        try:
            return connection.getresponse().status
        finally:
            connection.close()


CLIENT = httpx.Client(
    trust_env=False,
    timeout=20,
    cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
    limits=httpx.Limits(max_keepalive_connections=0),
)
"""Keeps no cookies and no connections: each request shows what its test says."""


@contextmanager
def guarded(home: Path, *options: str, scopes: tuple[Scope, ...] = tuple(Scope)) -> Iterator[Guarded]:
    """Start everything on a home."""
    home.mkdir(parents=True, exist_ok=True)
    secrets = {scope.word: Tokens(home).add(scope.word, scope) for scope in scopes}
    with upstream() as stand_in, api(home, stand_in.url, *options) as running:
        yield Guarded(running, stand_in, secrets)
