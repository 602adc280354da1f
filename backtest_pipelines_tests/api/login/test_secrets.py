"""Canaries: a token, a session and the code of a link are found nowhere, whatever is done with them."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from backtest_pipelines.api.login.grants import sign_in_link
from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines.client import Client
from backtest_pipelines.errors import BadDataError, BadRequestError
from backtest_pipelines_tests.api.login.installations import CLIENT, DELETE, HTML, Guarded, guarded

LEAKED = "btp_CanaryOfATokenThatNobodyKnows0123456789abcde"


def test_no_secret_is_in_a_file_an_answer_or_what_goes_on(tmp_path: Path) -> None:
    with guarded(tmp_path / "home") as service:
        link = str(sign_in_link(service.api.home, service.url))
        code = link.partition("code=")[2]
        cookie = service.cookie("read")
        answers = [
            *(
                service.ask(caller, path=path)
                for caller in ("read", LEAKED)
                for path in ("/runs", "/metrics", "/api/x")
            ),
            *(service.ask(caller, "POST", "/graphql", DELETE) for caller in ("read", LEAKED)),
            service.ask(None, path=f"/metrics?token={LEAKED}"),
            service.ask(None, path="/metrics", Cookie=cookie),
            service.sign_in(LEAKED),
            CLIENT.get(link),
            CLIENT.get(link),
            CLIENT.get(link.replace("/login/once", "/x/..//login//once")),
            CLIENT.get(link.replace("/login", "/%6cogin"), headers=HTML),
            CLIENT.get(f"{service.url}/login/once", params={"code": LEAKED}),
            *(service.ask(LEAKED) for _ in range(15)),
        ]
        assert service.api.process.poll() is None
    session = cookie.partition("=")[2]
    secrets = {**service.secrets, "leaked": LEAKED, "code": code, "session": session}
    files = [path for path in service.api.home.rglob("*") if path.is_file()]
    assert {"tokens.json", "sessions.json", "sign-in-links.json", "api.log"} <= {path.name for path in files}
    passed_on = repr(service.stand_in.requests)
    bodies = "".join(answer.text for answer in answers)
    for name, secret in secrets.items():
        assert [path for path in files if secret.encode() in path.read_bytes()] == [], name
        assert secret not in passed_on, name
        assert secret not in bodies, name


def test_the_files_are_their_owners_alone(service: Guarded) -> None:
    service.cookie("read")
    sign_in_link(service.api.home, service.url)
    for name in ("tokens.json", "sessions.json", "sign-in-links.json"):
        assert stat.S_IMODE((service.api.home / name).stat().st_mode) == 0o600


def test_tokens_that_are_made_at_once_are_all_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = list(pool.map(lambda number: Tokens(tmp_path).add(f"t{number}", Scope.RUN), range(24)))
    tokens = Tokens(tmp_path)
    assert [getattr(tokens.find(secret.encode()), "name", None) for secret in secrets] == [f"t{n}" for n in range(24)]
    assert len(set(secrets)) == 24


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 65, "a\n"])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequestError, match="allowed: 1 to 64 letters"):
        Tokens(tmp_path).add(name, Scope.READ)
    assert Tokens(tmp_path).known() is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"a": 1}', '{"a": {}}', '{"a": {"name": "a", "scope": "all", "sha256": "x", "created_at": ""}}'],
)
def test_a_damaged_file_is_told_without_its_content(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokens.json").write_text(text)
    with pytest.raises(BadDataError, match="not a file that this program wrote"):
        Tokens(tmp_path).known()
    with pytest.raises(BadDataError):
        Tokens(tmp_path).add("a", Scope.READ)
    assert (tmp_path / "tokens.json").read_text() == text


def test_the_client_shows_its_token(service: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(service.url, token=service.secrets["read"]) as client:
        assert client.jobs() == []
        with pytest.raises(BadRequestError, match="scope: got 'read'; allowed: run or admin"):
            client.submit("call_sell_future_buy_weekly")
    with Client(service.url) as client, pytest.raises(BadRequestError, match="Authorization: got 'none'"):
        client.jobs()
    monkeypatch.setenv("BACKTEST_TOKEN", service.secrets["read"])
    with Client(service.url) as client:
        assert client.jobs() == []
    with pytest.raises(BadRequestError) as refused:
        Client(service.url, token="a canary with spaces")  # noqa: S106
    assert "canary" not in str(refused.value)
