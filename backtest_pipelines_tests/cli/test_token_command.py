"""`token` as a user types it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines_tests.cli.conftest import Command


def test_a_token_is_printed_once_and_known_until_it_is_removed(command: Command, tmp_path: Path) -> None:
    assert command("token", "list", "--home", tmp_path).out == "no token was ever made, so there is no login\n"
    added = command("token", "add", "alice", "--scope", "run", "--home", tmp_path)
    assert (added.code, added.err) == (0, "keep it: it is not shown again, as only its hash is kept\n")
    assert re.fullmatch(r"btp_[\w-]{43}\n", added.out)
    found = Tokens(tmp_path).find(added.out.strip().encode())
    assert found is not None
    assert (found.name, found.scope) == ("alice", Scope.RUN)
    listed = command("token", "list", "--home", tmp_path)
    assert re.search(r"alice +run +\d{4}-", listed.out)
    assert added.out.strip() not in listed.out
    removed = command("token", "remove", "alice", "--home", tmp_path)
    assert removed.out == "removed alice; its sessions have ended\n"
    assert removed.err == "no token is left: nobody can log in until one is added\n"
    assert Tokens(tmp_path).find(added.out.strip().encode()) is None


def test_json(command: Command, tmp_path: Path) -> None:
    assert command("token", "list", "--home", tmp_path, "--json").json == {"login": False, "tokens": []}
    added = command("token", "add", "a", "--scope", "read", "--home", tmp_path, "--json").json
    assert Tokens(tmp_path).find(added["token"].encode()) is not None
    assert (added["name"], added["scope"]) == ("a", "read")
    (listed,) = command("token", "list", "--home", tmp_path, "--json").json["tokens"]
    assert sorted(listed) == ["created_at", "name", "scope"]
    assert command("token", "remove", "a", "--home", tmp_path, "--json").json == {"removed": "a", "left": 0}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["add", "a"], "--scope: got None; allowed: read, run, admin"),
        (["add", "a", "--scope", "all"], "--scope: got 'all'"),
        (["add", "--scope", "read"], "NAME: got None"),
        (["add", "a/b", "--scope", "read"], "NAME: got 'a/b'"),
        (["list", "a"], "NAME: got 'a'"),
        (["list", "--scope", "read"], "--scope: got 'read'; allowed: only with add"),
        (["remove", "nobody"], "NAME: got 'nobody'; allowed: none, as there are no tokens"),
        (["other"], "invalid choice: 'other'"),
    ],
)
def test_a_wrong_command_is_refused(command: Command, tmp_path: Path, arguments: list[str], reason: str) -> None:
    refused = command("token", *arguments, "--home", tmp_path)
    assert refused.code == 2
    assert reason in refused.err
    assert not (tmp_path / "tokens.json").exists()


def test_a_name_is_taken_once(command: Command, tmp_path: Path) -> None:
    first = command("token", "add", "a", "--scope", "read", "--home", tmp_path)
    second = command("token", "add", "a", "--scope", "admin", "--home", tmp_path)
    assert (second.code, "remove that one first" in second.err) == (2, True)
    assert Tokens(tmp_path).find(first.out.strip().encode()) is not None
