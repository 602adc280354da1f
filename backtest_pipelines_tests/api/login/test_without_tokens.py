"""Without a token there is no login on loopback, and no wider door unless somebody says what that means."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from backtest_pipelines.api.listening import WITHOUT_LOGIN, Listening
from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines.errors import BadRequestError
from backtest_pipelines_tests.api.login.installations import CLIENT, LAUNCH, guarded
from backtest_pipelines_tests.api.processes import running, wait_until_ok
from backtest_pipelines_tests.cli.conftest import clean_environment, process
from backtest_pipelines_tests.ports import free_port

EVERY_ADDRESS = "0.0.0.0"  # noqa: S104 - what is refused


def test_without_tokens_everything_passes_until_the_first_is_made(tmp_path: Path) -> None:
    with guarded(tmp_path / "home", scopes=()) as service:
        assert service.ask(None, "POST", "/graphql", LAUNCH).status_code == 207
        answer = service.ask("left from before", Cookie="backtest_session=x")
        assert answer.status_code == 207
        seen = {name.lower() for name, _ in service.stand_in.requests[-1][2]}
        assert seen & {"authorization", "cookie"} == set()
        assert service.ask(None, path="/login").headers["location"] == "/"
        tokens = Tokens(service.api.home)
        secret = tokens.add("first", Scope.READ)
        assert service.ask(None).status_code == 401
        assert service.ask(secret).status_code == 207
        # Nothing is opened by removing the last token: others may rely on the login.
        tokens.remove("first")
        assert service.ask(secret).status_code == 401
        assert service.ask(None, path="/health").status_code == 200
        (service.api.home / "tokens.json").unlink()
        assert service.ask(None).status_code == 207


def test_a_damaged_file_opens_nothing(tmp_path: Path) -> None:
    with guarded(tmp_path / "home") as service:
        assert service.ask("read").status_code == 207
        (service.api.home / "tokens.json").write_text('{"read": "canary-in-the-file"}')
        for answer in (service.ask("read"), service.ask(None), service.ask(None, path="/login")):
            assert answer.status_code == 503
            assert "canary" not in answer.text
        log = (service.api.home / "api.log").read_text()
        assert "tokens.json: not a file that this program wrote" in log
        assert "canary" not in log


@pytest.mark.parametrize("options", [["--host", EVERY_ADDRESS], ["--host", "::"], ["--behind-tls"]], ids=str)
def test_the_api_itself_refuses_to_be_open(tmp_path: Path, options: list[str]) -> None:
    command = [sys.executable, "-m", "backtest_pipelines.api", "--port", "0", "--dagster-url", "http://127.0.0.1:1"]
    refused = subprocess.run(
        [*command, *options],
        env=clean_environment() | {"BACKTEST_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert refused.returncode == 2
    assert f"{options[0]}: got" in refused.stderr
    assert "token add" in refused.stderr
    assert WITHOUT_LOGIN in refused.stderr


def test_up_refuses_before_anything_is_started(tmp_path: Path) -> None:
    refused = process("up", "--home", tmp_path, "--port", "0", "--host", EVERY_ADDRESS)
    assert (refused.code, WITHOUT_LOGIN in refused.err) == (2, True)
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize("with_token", [True, False])
def test_it_listens_wider_with_a_token_or_where_that_is_said(tmp_path: Path, with_token: bool) -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "backtest_pipelines.api",
        "--port",
        str(port),
        "--dagster-url",
        "http://127.0.0.1:1",
    ]
    if with_token:
        Tokens(tmp_path).add("owner", Scope.ADMIN)
    said = [] if with_token else [WITHOUT_LOGIN]
    url = f"http://127.0.0.1:{port}"
    with running([*command, "--host", EVERY_ADDRESS, *said], tmp_path, tmp_path / "api.log") as api:
        wait_until_ok(f"{url}/health", api)
        assert CLIENT.get(f"{url}/runs").status_code == (401 if with_token else 502)
        # Where it began with a login, there is one for ever, whatever becomes of the file.
        if with_token:
            (tmp_path / "tokens.json").unlink()
            assert CLIENT.get(f"{url}/runs").status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_is_open_without_tokens(host: str) -> None:
    listening = Listening(host)
    listening.check(None)
    assert listening.is_open


@pytest.mark.parametrize(
    "listening",
    [
        Listening(EVERY_ADDRESS),
        Listening("::"),
        Listening("192.168.1.5"),
        Listening("backtests.example"),
        Listening("localhost.evil.example"),
        Listening(is_behind_tls=True),
    ],
    ids=str,
)
def test_what_others_can_reach_needs_a_token_or_a_word(listening: Listening) -> None:
    assert not listening.is_open
    for tokens in (None, ()):
        with pytest.raises(BadRequestError, match="token add"):
            listening.check(tokens)
    listening.check(["a token"])
    open_to_all = replace(listening, is_for_anyone=True)
    open_to_all.check(None)
    assert open_to_all.is_open
    with pytest.raises(BadRequestError, match="no token was ever made"):
        open_to_all.check(["a token"])


@pytest.mark.parametrize(
    ("listening", "url", "public_url"),
    [
        (Listening(), "http://127.0.0.1:8", "http://127.0.0.1:8"),
        (Listening(EVERY_ADDRESS), "http://127.0.0.1:8", "http://127.0.0.1:8"),
        (Listening("::"), "http://[::1]:8", "http://[::1]:8"),
        (Listening("192.168.1.5"), "http://192.168.1.5:8", "http://192.168.1.5:8"),
        (Listening(names=("a.example", "b"), is_behind_tls=True), "http://127.0.0.1:8", "https://a.example"),
    ],
)
def test_the_addresses_that_users_are_told(listening: Listening, url: str, public_url: str) -> None:
    assert (listening.url(8), listening.public_url(8)) == (url, public_url)
