"""Headers that mean to confuse, with a token or session that would do: none of it gets more than it should."""

from __future__ import annotations

import json

import pytest

from backtest_pipelines_tests.api.login.installations import DELETE, QUERY, Guarded

JSON = ("Content-Type", "application/json")
FOREIGN = "http://evil.example"
HUGE = "Bearer " + "x" * 60_000
MUTATION = json.dumps(DELETE).encode()
DOCUMENT = json.dumps(QUERY).encode()
BATCH = json.dumps([QUERY, DELETE]).encode()


@pytest.mark.parametrize(
    ("caller", "method", "path", "headers", "body", "status"),
    [
        ("admin", "GET", "/runs", [("Host", "evil.example")], b"", 403),
        ("admin", "POST", "/api/v1/jobs", [("Host", "127.0.0.1"), ("Origin", FOREIGN), JSON], b"{}", 403),
        ("admin", "POST", "/graphql", [("Host", "127.0.0.1"), ("Origin", "null"), JSON], DOCUMENT, 403),
        ("admin", "POST", "/graphql", [("Host", "127.0.0.1"), ("Sec-Fetch-Site", "cross-site"), JSON], DOCUMENT, 403),
        ("admin", "GET", "/runs", [("Host", "127.0.0.1"), ("Authorization", "Bearer x")], b"", 400),
        ("admin", "GET", "/runs", [("Host", "127.0.0.1"), ("Host", "evil.example")], b"", 400),
        ("admin", "GET", "/graphql?query=mutation%7Bx%7D", [("Host", "127.0.0.1")], b"", 405),
        ("read", "POST", "/graphql?query=mutation%7Bx%7D", [("Host", "127.0.0.1"), JSON], DOCUMENT, 400),
        ("read", "POST", "/graphql?operationName=D", [("Host", "127.0.0.1"), JSON], DOCUMENT, 400),
        ("run", "POST", "/graphql", [("Host", "127.0.0.1"), JSON], BATCH, 400),
        ("read", "POST", "/%67raphql", [("Host", "127.0.0.1"), JSON], MUTATION, 403),
        ("read", "POST", "/x/..//graphql", [("Host", "127.0.0.1"), JSON], MUTATION, 403),
        ("read", "POST", "/graphql;a=b", [("Host", "127.0.0.1"), JSON], MUTATION, 403),
        ("read", "POST", "/api/v1/%6aobs", [("Host", "127.0.0.1"), JSON], b"{}", 403),
        ("run", "POST", "/api/v1/%63ache/invalidate", [("Host", "127.0.0.1")], b"", 403),
        ("run", "POST", "/api/v1/jobs/..%2fcache/invalidate", [("Host", "127.0.0.1")], b"", 403),
        ("read", "POST", "/health", [("Host", "127.0.0.1"), ("X-HTTP-Method-Override", "GET")], b"", 403),
        ("read", "POST", "/api/v1/jobs", [("Host", "127.0.0.1"), ("X-HTTP-Method", "GET"), JSON], b"{}", 403),
        ("read", "POST", "/api/v1/jobs", [("Host", "127.0.0.1"), ("X-Original-URL", "/health"), JSON], b"{}", 403),
        ("read", "POST", "/api/v1/jobs", [("Host", "127.0.0.1"), ("X-Forwarded-For", "127.0.0.1"), JSON], b"{}", 403),
        (None, "GET", "/runs", [("Host", "127.0.0.1"), ("Authorization", HUGE)], b"", 401),
        (None, "GET", "/runs", [("Host", "127.0.0.1"), ("Authorization", "Bearer")], b"", 401),
        (None, "GET", "/runs", [("Host", "127.0.0.1"), ("Authorization", "Basic YTpi")], b"", 401),
        (None, "GET", "/x/../health", [("Host", "127.0.0.1")], b"", 401),
        (None, "GET", "/%2568ealth", [("Host", "127.0.0.1")], b"", 401),
        (None, "POST", "/login", [("Host", "127.0.0.1"), ("X-Forwarded-Proto", "https")], b"", 403),
    ],
)
def test_hostile_headers_are_refused(
    service: Guarded,
    caller: str | None,
    method: str,
    path: str,
    headers: list[tuple[str, str]],
    body: bytes,
    status: int,
) -> None:
    assert service.raw(method, path, [*headers, *service.shown(caller).items()], body) == status
    assert service.stand_in.requests == []


def test_an_override_of_the_method_changes_nothing(service: Guarded) -> None:
    answer = service.ask("read", "GET", "/runs", X_HTTP_Method_Override="DELETE")
    assert (answer.status_code, [request[0] for request in service.stand_in.requests if request[0] == "GET"]) == (
        207,
        ["GET"],
    )


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": FOREIGN}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 422),
    ],
    ids=str,
)
def test_a_session_changes_things_from_its_own_pages_only(
    service: Guarded, headers: dict[str, str], status: int
) -> None:
    answer = service.ask(None, "POST", "/api/v1/jobs", {}, Cookie=service.cookie("run"), **headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_two_sessions_in_one_request_are_none(service: Guarded) -> None:
    cookie = service.cookie("read")
    assert service.ask(None, Cookie=cookie).status_code == 207
    assert service.ask(None, Cookie=f"{cookie}; {cookie}").status_code == 401
    assert service.ask(None, Cookie=f"{cookie}; backtest_session=").status_code == 401


def test_a_wrong_token_is_not_helped_by_a_session(service: Guarded) -> None:
    assert service.ask("btp_wrong", Cookie=service.cookie("admin")).status_code in (401, 429)


@pytest.mark.parametrize("path", ["/login", "/runs", "/api/v1/jobs", "/health", "/login/once?code=x", "/nowhere"])
@pytest.mark.parametrize("caller", [None, "read"])
def test_no_answer_may_be_framed(service: Guarded, path: str, caller: str | None) -> None:
    headers = service.ask(caller, path=path, Accept="text/html").headers
    assert headers["x-frame-options"] == "DENY"
    assert "frame-ancestors 'none'" in headers.get_list("content-security-policy")
