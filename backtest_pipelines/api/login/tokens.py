"""The tokens of an installation: each has a name and a scope, and only its hash is kept."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from backtest_pipelines.api.login.private_file import PrivateFile
from backtest_pipelines.api.login.scopes import WORDS, Scope
from backtest_pipelines.errors import BadRequestError

FILE_NAME: Final = "tokens.json"
PREFIX: Final = "btp_"
"""Begins each token, so that a search for secrets finds one that was left somewhere."""
LONGEST: Final = 200
"""More bytes than any token has; what is longer is not even hashed."""
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret.

    Attributes
    ----------
    name : str
    scope : Scope
    sha256 : str
        Of the secret, in hexadecimal digits. The secret has 256 random bits, so that no slow hash is needed.
    created_at : str
        ISO time, UTC.
    """

    name: str
    scope: Scope
    sha256: str
    created_at: str


class Tokens:
    """The tokens in a home folder.

    Parameters
    ----------
    home : Path
    """

    def __init__(self, home: Path) -> None:
        self._file = PrivateFile(home / FILE_NAME, _from_json, _to_json)

    def known(self) -> Collection[Token] | None:
        """Return the tokens as they are now; None where none was ever made, so that there is no login.

        An installation whose last token was removed has a login that nobody passes: it is not opened by that.

        Raises
        ------
        BadDataError, UnavailableError
            If the file cannot be read.
        """
        tokens = self._file.read()
        return None if tokens is None else tokens.values()

    def find(self, secret: bytes) -> Token | None:
        """Return the token of a secret, in a time that does not depend on how much of it is right."""
        if len(secret) > LONGEST:
            return None
        digest = sha256(secret).hexdigest()
        found = None
        for token in self.known() or ():
            if hmac.compare_digest(token.sha256, digest):
                found = token
        return found

    def by_digest(self, digest: str) -> Token | None:
        """Return the token of a hash, where it has not been removed."""
        return next((token for token in self.known() or () if token.sha256 == digest), None)

    def add(self, name: str, scope: Scope) -> str:
        """Make a token and return its secret, which is kept nowhere.

        Raises
        ------
        BadRequestError
            If the name is taken or not allowed.
        """
        import secrets  # noqa: PLC0415 - this command alone

        if not _NAME.fullmatch(name):
            raise BadRequestError("NAME", name, "allowed: 1 to 64 letters, digits, dots, underscores and hyphens")
        secret = PREFIX + secrets.token_urlsafe(32)
        digest = sha256(secret.encode()).hexdigest()
        with self._file.change() as tokens:
            if name in tokens:
                raise BadRequestError("NAME", name, "allowed: a name that no token has; remove that one first")
            tokens[name] = Token(name, scope, digest, datetime.now(UTC).isoformat(timespec="seconds"))
        return secret

    def remove(self, name: str) -> None:
        """Remove a token, and with it its sessions.

        Raises
        ------
        BadRequestError
            If there is none of this name.
        """
        with self._file.change() as tokens:
            if tokens.pop(name, None) is None:
                names = ", ".join(sorted(tokens)) or "none, as there are no tokens"
                raise BadRequestError("NAME", name, f"allowed: {names}")


def _from_json(record: Mapping[str, Any]) -> Token:
    if record["scope"] not in WORDS or not _SHA256.fullmatch(record["sha256"]):
        raise ValueError
    return Token(str(record["name"]), Scope[record["scope"].upper()], record["sha256"], str(record["created_at"]))


def _to_json(token: Token) -> Mapping[str, object]:
    return {
        "name": token.name,
        "scope": token.scope.word,
        "sha256": token.sha256,
        "created_at": token.created_at,
    }
