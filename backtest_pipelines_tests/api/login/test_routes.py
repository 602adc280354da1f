"""Every route and method, and paths of the gateway, by each kind of caller, against a table that a rule makes."""

from __future__ import annotations

import re

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from backtest_pipelines.api.app import create_app
from backtest_pipelines.api.guard import Guard
from backtest_pipelines.api.heads import Heads
from backtest_pipelines.api.listening import Listening
from backtest_pipelines.api.login.middleware import Login
from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines.api.request_limits import RequestLimits
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines_tests.api.login.installations import QUERY, WRONG, Guarded

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
OF_THE_GATEWAY = (
    "/",
    "/runs",
    "/runs/x",
    "/_next/static/x.js",
    "/server_info",
    "/logs/a/b",
    "/graphqlx",
)
UNKNOWN = ("/api", "/api/v1", "/api/v1/unknown", "/api/v2/jobs", "/api/v1/cache", "/api/v1/cache/unknown")
RANKS = {None: 0, "read": 1, "run": 2, "admin": 3}


def least(method: str, path: str) -> str | None:
    """The rule: who may do this at least."""
    if method in ("GET", "HEAD"):
        return None if path in ("/health", "/ready") else "read"
    if method == "POST" and path == "/graphql":
        return "read"
    if method in ("POST", "DELETE") and path.startswith("/api/v1/"):
        return "admin" if path.split("/")[3] == "cache" else "run"
    return "admin"


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return a path of each route that the application knows, and some of the gateway."""
    home = tmp_path_factory.mktemp("routes")
    guard = create_app(settings_from({}, home=home), "http://127.0.0.1:1", Listening()).app
    assert isinstance(guard, Guard)
    login = guard.app
    assert isinstance(login, Login)
    limited = login.app
    assert isinstance(limited, RequestLimits)
    heads = limited.app
    assert isinstance(heads, Heads)
    assert isinstance(heads.app, FastAPI)
    walked = [context.path for context in iter_route_contexts(heads.app.routes)]
    assert None not in walked, "a route without a path: say here how it is walked"
    found = {re.sub(r"\{[^}]*\}", "1", str(path)) for path in walked}
    assert {"/health", "/ready", "/api/v1/jobs", "/api/v1/jobs/1", "/api/v1/results/1", "/api/v1/openapi.json"} <= found
    return sorted({*found, *OF_THE_GATEWAY, *UNKNOWN, "/graphql"})


@pytest.mark.parametrize("caller", [None, WRONG, "read", "run", "admin"])
def test_every_route_and_method_asks_for_the_scope_that_the_rule_says(
    service: Guarded, paths: list[str], caller: str | None
) -> None:
    wrong = []
    rank = RANKS.get(caller, 0)
    refusal = "too little" if rank else "unknown"
    for path in paths:
        for method in METHODS:
            if path == "/graphql" and method != "POST":
                continue  # the guard refuses it, whoever asks
            service.stand_in.requests.clear()
            answer = service.ask(caller, method, path, body=QUERY if method == "POST" and path == "/graphql" else None)
            needed = least(method, path)
            got = verdict(answer.status_code, answer.content)
            may_pass = needed is None or rank >= RANKS[needed]
            expected = "passed" if may_pass else refusal
            if got != expected or (expected != "passed" and service.stand_in.requests):
                wrong.append((method, path, needed, answer.status_code, answer.text[:100]))
    assert wrong == []


def verdict(status: int, body: bytes) -> str:
    if status in (401, 429):
        return "unknown"
    return "too little" if status == 403 and (not body or b'"field": "scope"' in body) else "passed"


def test_a_refusal_names_the_scope_that_is_needed(service: Guarded) -> None:
    answer = service.ask("read", "POST", "/api/v1/jobs", body={})
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    problem = answer.json()
    assert (problem["field"], problem["value"], problem["limit"]) == ("scope", "read", "allowed: run or admin")
    assert "of the token read" in problem["detail"]
    assert service.ask("run", "POST", "/api/v1/cache/x").json()["limit"] == "allowed: admin"


@pytest.mark.parametrize("path", ["/runs", "/api/v1/jobs", "/graphql"])
def test_a_program_without_a_token_is_told_so(service: Guarded, path: str) -> None:
    answer = service.ask(None, "POST", path, body=QUERY)
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (answer.json()["field"], answer.json()["value"]) == ("Authorization", "none")
    assert service.stand_in.requests == []


def test_what_is_open_tells_no_more_without_a_token(service: Guarded) -> None:
    assert service.ask(None, path="/health").json() == {"status": "ok"}
    ready = service.ask(None, path="/ready").json()
    assert ready["status"] == "degraded"
    assert set(ready["parts"].values()) == {"up", "down"}


def test_neither_token_nor_session_goes_on_to_dagster(service: Guarded) -> None:
    assert service.ask("read", path="/runs", Cookie="a=1; backtest_session=x; b=2").status_code == 207
    cookie = service.cookie("read")
    assert service.ask(None, path="/runs", Cookie=f"__Host-backtest_session=y; {cookie}").status_code == 207
    first, second = (dict(headers) for _, _, headers, _ in service.stand_in.requests)
    assert {name.lower() for name in (*first, *second)} & {"authorization"} == set()
    assert {name.lower(): value for name, value in first.items()}["cookie"] == "a=1; b=2"
    assert "cookie" not in {name.lower() for name in second}


def test_a_token_works_from_when_it_is_made_until_it_is_removed(service: Guarded) -> None:
    tokens = Tokens(service.api.home)
    secret = tokens.add("passing", Scope.READ)
    cookie = service.cookie(secret)
    assert service.ask(secret).status_code == 207
    assert service.ask(None, Cookie=cookie).status_code == 207
    tokens.remove("passing")
    assert service.ask(secret).status_code in (401, 429)
    assert service.ask(None, Cookie=cookie).status_code == 401
    again = tokens.add("passing", Scope.READ)
    assert service.ask(None, Cookie=cookie).status_code == 401
    assert service.ask(again).status_code == 207
    tokens.remove("passing")
