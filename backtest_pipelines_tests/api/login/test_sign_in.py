"""How a browser signs in and out: the page, the link that works once, and what a session is worth."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from backtest_pipelines.api.login import grants
from backtest_pipelines.api.login.failures import A_MINUTE
from backtest_pipelines.api.login.grants import sign_in_link
from backtest_pipelines.api.login.pages import local_path
from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines_tests.api.login.installations import CLIENT, HTML, WRONG, Guarded, guarded


def test_a_page_leads_to_the_sign_in_and_back(service: Guarded) -> None:
    asked = service.ask(None, path="/runs/x?tab=a&b=%2F", **HTML)
    assert asked.status_code == 303
    sent = urlsplit(asked.headers["location"])
    assert (sent.scheme, sent.netloc, sent.path) == ("", "", "/login")
    assert parse_qs(sent.query)["next"] == ["/runs/x?tab=a&b=%2F"]
    page = CLIENT.get(f"{service.url}{asked.headers['location']}")
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    (next_page,) = re.findall(r'name="next" type="hidden" value="([^"]*)"', page.text)
    signed_in = service.sign_in("read", next_page.replace("&amp;", "&"))
    assert (signed_in.status_code, signed_in.headers["location"]) == (303, "/runs/x?tab=a&b=%2F")
    assert service.stand_in.requests == []


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/api/v1/jobs"), ("GET", "/api/v1/results/1"), ("POST", "/runs"), ("POST", "/graphql")]
)
def test_what_is_no_page_is_not_redirected(service: Guarded, method: str, path: str) -> None:
    assert service.ask(None, method, path, body={}, **HTML).status_code == 401


def test_the_page_of_the_api_leads_to_the_sign_in(service: Guarded) -> None:
    asked = service.ask(None, path="/api/v1/docs", **HTML)
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?next=/api/v1/docs")
    assert service.ask(None, path="/api/v1/docs").status_code == 401
    assert service.ask("read", path="/api/v1/docs", **HTML).status_code == 200


def test_the_page_needs_nothing_from_anywhere(service: Guarded) -> None:
    page = service.ask(None, path="/login")
    assert "<script" not in page.text
    assert re.findall(r"(?:src|href)=", page.text) == []
    policy = page.headers.get_list("content-security-policy")[0]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self'" in policy


def test_the_cookie_is_for_this_server_alone(service: Guarded) -> None:
    cookie = service.sign_in("read").headers["set-cookie"]
    name, *attributes = cookie.split("; ")
    assert re.fullmatch(r"backtest_session=[\w-]{43}", name)
    assert sorted(attributes) == ["HttpOnly", "Max-Age=43200", "Path=/", "SameSite=lax"]


def test_a_session_has_the_scope_of_its_token_and_says_whose_it_is(service: Guarded) -> None:
    cookie = service.cookie("read")
    assert service.ask(None, Cookie=cookie).status_code == 207
    refused = service.ask(None, "POST", "/api/v1/jobs", {}, Cookie=cookie, **service.origin)
    assert (refused.status_code, refused.json()["value"]) == (403, "read")
    page = service.ask(None, path="/login", Cookie=cookie)
    assert "Token <b>read</b>, scope <b>read</b>" in page.text
    assert "Sign out" in page.text


def test_signing_out_ends_the_session_and_no_other(service: Guarded) -> None:
    cookie, other = service.cookie("run"), service.cookie("run")
    assert service.ask(None, "POST", "/logout", Cookie=cookie).status_code == 403
    assert service.ask(None, "GET", "/logout", Cookie=cookie).status_code == 405
    out = service.ask(None, "POST", "/logout", Cookie=cookie, **service.origin)
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert "Max-Age=0" in out.headers["set-cookie"]
    assert service.ask(None, Cookie=cookie).status_code == 401
    assert service.ask(None, Cookie=other).status_code == 207


def test_a_session_ends_after_its_time(service: Guarded) -> None:
    cookie = service.cookie("read")
    path = service.api.home / "sessions.json"
    sessions = json.loads(path.read_text())
    newest = max(sessions, key=lambda key: sessions[key]["expires_at_s"])
    sessions[newest]["expires_at_s"] -= grants.SESSION_S
    replaced = path.with_suffix(".new")
    replaced.write_text(json.dumps(sessions))
    replaced.replace(path)
    assert service.ask(None, Cookie=cookie).status_code == 401
    service.cookie("read")
    assert newest not in json.loads(path.read_text())


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}], ids=str
)
def test_another_site_signs_nobody_in(service: Guarded, headers: dict[str, str]) -> None:
    assert service.sign_in("read", **headers).status_code == 403


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data; boundary=x", b"", 415),
        ("application/x-www-form-urlencoded", b"token=" + b"x" * 10_000, 413),
        ("application/x-www-form-urlencoded", b"\xff\x00%ff&&==", 401),
    ],
)
def test_a_form_of_another_kind_is_refused(service: Guarded, content_type: str, body: bytes, status: int) -> None:
    headers = {**service.origin, "Content-Type": content_type}
    assert CLIENT.post(f"{service.url}/login", content=body, headers=headers).status_code == status


EVIL = [
    "//evil.example",
    "https://evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n//evil.example",
    "///evil.example",
    "evil.example",
    " /runs",
    "/runs\r\nSet-Cookie: a=b",
    "/login",
    "/login/once?code=x",
    "/logout",
    "/" + "x" * 2_000,
    "",
    "/\u2025/evil",
    "//[",
]


@pytest.mark.parametrize("next_page", EVIL, ids=repr)
def test_nobody_is_sent_elsewhere(service: Guarded, next_page: str) -> None:
    assert local_path(next_page) == "/"
    page = CLIENT.get(f"{service.url}/login", params={"next": next_page})
    assert 'value="/"' in page.text
    assert service.sign_in("read", next_page).headers["location"] == "/"


@pytest.mark.parametrize("next_page", ["/", "/runs", "/runs/a?b=c&d=%2F%2F", "/a//b", "/x#y", "/a:b@c"])
def test_a_path_of_this_server_is_kept(next_page: str) -> None:
    assert local_path(next_page) == next_page


def test_what_is_shown_on_the_page_is_text(service: Guarded) -> None:
    page = CLIENT.get(f"{service.url}/login", params={"next": '/"><script>alert(1)</script>'})
    assert "<script" not in page.text


def test_a_link_signs_in_once(service: Guarded) -> None:
    link = sign_in_link(service.api.home, service.url)
    assert link is not None
    assert CLIENT.head(link).status_code == 405
    by_a_page = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert CLIENT.get(link, headers=by_a_page).status_code == 403
    first = CLIENT.get(link, headers=HTML)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"].partition(";")[0]
    assert "scope <b>admin</b>" in service.ask(None, path="/login", Cookie=cookie).text
    again = CLIENT.get(link, headers=HTML)
    assert again.status_code in (401, 429)
    assert "set-cookie" not in again.headers


def test_of_many_who_follow_a_link_at_once_one_is_signed_in(service: Guarded) -> None:
    link = sign_in_link(service.api.home, service.url)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: CLIENT.get(str(link)).status_code, range(16)))
    assert answers.count(303) == 1
    assert set(answers) - {303} <= {401, 429}


def test_a_link_ends_after_its_time_and_with_its_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path)
    assert sign_in_link(tmp_path, "http://x") is None
    tokens.add("reader", Scope.READ)
    tokens.add("owner", Scope.ADMIN)
    codes = [str(sign_in_link(tmp_path, "http://x")).partition("code=")[2] for _ in range(2)]
    tokens.remove("owner")
    assert grants.links(tmp_path, tokens).revoke(codes[0]) is None
    monkeypatch.setattr(grants, "LINK_S", -1)
    late = str(sign_in_link(tmp_path, "http://x")).partition("code=")[2]
    assert grants.links(tmp_path, tokens).revoke(late) is None


def test_behind_tls_the_cookie_travels_by_tls_alone(tmp_path: Path) -> None:
    with guarded(tmp_path / "home", "--behind-tls", "--allow-host", "backtests.example") as service:
        host = {"Host": "backtests.example", "Origin": "https://backtests.example"}
        cookie = service.sign_in("read", **host).headers["set-cookie"]
        assert cookie.startswith("__Host-backtest_session=")
        assert "; Secure" in cookie
        pair = cookie.partition(";")[0]
        assert service.ask(None, Cookie=pair).status_code == 207
        assert service.ask(None, Cookie=pair.removeprefix("__Host-")).status_code == 401


def test_wrong_logins_are_counted_and_right_ones_pass(tmp_path: Path) -> None:
    with guarded(tmp_path / "home") as service:
        statuses = [service.ask(WRONG).status_code for _ in range(A_MINUTE - 1)]
        statuses.append(service.sign_in(WRONG).status_code)
        assert statuses == [401] * A_MINUTE
        for refused in (service.ask(WRONG), service.sign_in(WRONG), service.ask(WRONG, path="/login/once?code=x")):
            assert refused.status_code == 429
            assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert service.ask("read").status_code == 207
        assert service.sign_in("read").status_code == 303
        assert service.ask(None).status_code == 401
        log = (service.api.home / "api.log").read_text()
        assert log.count("a login from 127.0.0.1 failed: the token is not known") == A_MINUTE
        assert log.count("again and again") == 1
