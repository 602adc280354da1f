"""``backtest-pipelines token``: makes, lists and removes the tokens that the service asks for."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.executions.settings import settings_from

if TYPE_CHECKING:
    from backtest_pipelines.api.login.tokens import Tokens
    from backtest_pipelines.cli.screen import Screen

HELP = "Make, list and remove the tokens of the service"
EXAMPLES = """examples:
  backtest-pipelines token add alice --scope run
  backtest-pipelines token list
  backtest-pipelines token remove alice"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("action", choices=("add", "list", "remove"), help="what to do")
    parser.add_argument("name", metavar="NAME", nargs="?", help="of the token to be made or removed")
    parser.add_argument("--scope", metavar="SCOPE", help="with add: read, run (and read) or admin (everything)")


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Do it; a running service knows at once."""
    from backtest_pipelines.api.login.tokens import Tokens  # noqa: PLC0415 - this command alone

    _check(arguments)
    tokens = Tokens(settings_from(os.environ, home=arguments.home).home)
    if arguments.action == "add":
        _add(tokens, arguments.name, arguments.scope, screen)
    elif arguments.action == "remove":
        _remove(tokens, arguments.name, screen)
    else:
        _list(tokens, screen)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse arguments that belong to another action."""
    from backtest_pipelines.api.login.scopes import WORDS  # noqa: PLC0415

    if arguments.action == "add":
        if arguments.scope not in WORDS:
            raise BadRequestError("--scope", arguments.scope, f"allowed: {', '.join(WORDS)}")
    elif arguments.scope is not None:
        raise BadRequestError("--scope", arguments.scope, "allowed: only with add")
    if (arguments.name is None) != (arguments.action == "list"):
        raise BadRequestError("NAME", arguments.name, "allowed: a name with add and remove, none with list")


def _add(tokens: Tokens, name: str, scope: str, screen: Screen) -> None:
    from backtest_pipelines.api.login.scopes import Scope  # noqa: PLC0415

    secret = tokens.add(name, Scope[scope.upper()])
    if screen.as_json:
        screen.json({"name": name, "scope": scope, "token": secret})
        return
    screen.line(secret)
    screen.message("keep it: it is not shown again, as only its hash is kept")


def _remove(tokens: Tokens, name: str, screen: Screen) -> None:
    tokens.remove(name)
    left = len(tokens.known() or ())
    if screen.as_json:
        screen.json({"removed": name, "left": left})
        return
    screen.line(f"removed {name}; its sessions have ended")
    if not left:
        screen.message("no token is left: nobody can log in until one is added")


def _list(tokens: Tokens, screen: Screen) -> None:
    known = tokens.known()
    rows = [(token.name, token.scope.word, token.created_at) for token in known or ()]
    columns = ("name", "scope", "created_at")
    if screen.as_json:
        screen.json({"login": known is not None, "tokens": [dict(zip(columns, row, strict=True)) for row in rows]})
    elif known is None:
        screen.line("no token was ever made, so there is no login")
    else:
        screen.table("Tokens", columns, rows)
