"""Secrets that stand for a token for a while: the sessions of browsers, and links that sign in once."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from backtest_pipelines.api.login.private_file import PrivateFile
from backtest_pipelines.api.login.tokens import LONGEST, Token, Tokens

SESSION_S: Final = 12 * 3600
LINK_S: Final = 10 * 60
LINK_PATH: Final = "/login/once"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a secret stands for.

    Attributes
    ----------
    token_sha256 : str
        Of the token: where it is removed, the secret stands for nothing any more.
    expires_at_s : float
        Seconds since 1970.
    """

    token_sha256: str
    expires_at_s: float


class Grants:
    """Grants of one kind, kept under the hashes of their secrets, shared by the processes on a home folder.

    Parameters
    ----------
    path : Path
        The file.
    tokens : Tokens
    lifetime_s : float
    """

    def __init__(self, path: Path, tokens: Tokens, lifetime_s: float) -> None:
        self._file = PrivateFile(path, _from_json, asdict)
        self._tokens = tokens
        self._lifetime_s = lifetime_s

    def issue(self, token: Token) -> str:
        """Return a new secret that stands for a token. What has expired is forgotten."""
        secret = secrets.token_urlsafe(32)
        now_s = time.time()
        with self._file.change() as grants:
            for key in [key for key, grant in grants.items() if grant.expires_at_s <= now_s]:
                del grants[key]
            grants[_key(secret)] = Grant(token.sha256, now_s + self._lifetime_s)
        return secret

    def token(self, secret: str) -> Token | None:
        """Return the token that a secret stands for now."""
        # Looked up by a hash: how long that takes tells nothing of the secret.
        grants = self._file.read()
        return self._token(grants.get(_key(secret))) if grants and len(secret) <= LONGEST else None

    def revoke(self, secret: str) -> Token | None:
        """End a grant and return what it stood for: of several callers at once, one is given it."""
        if self.token(secret) is None:
            return None
        with self._file.change() as grants:
            return self._token(grants.pop(_key(secret), None))

    def _token(self, grant: Grant | None) -> Token | None:
        if grant is None or grant.expires_at_s <= time.time():
            return None
        return self._tokens.by_digest(grant.token_sha256)


def sessions(home: Path, tokens: Tokens) -> Grants:
    """Return the sessions of browsers."""
    return Grants(home / "sessions.json", tokens, SESSION_S)


def links(home: Path, tokens: Tokens) -> Grants:
    """Return the codes of links that sign in once."""
    return Grants(home / "sign-in-links.json", tokens, LINK_S)


def sign_in_link(home: Path, url: str) -> str | None:
    """Return a link that signs a browser in once, with the token of the widest scope; None without tokens."""
    tokens = Tokens(home)
    known = tokens.known()
    if not known:
        return None
    widest = max(known, key=lambda token: token.scope)
    return f"{url}{LINK_PATH}?code={links(home, tokens).issue(widest)}"


def _key(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _from_json(record: Mapping[str, Any]) -> Grant:
    return Grant(str(record["token_sha256"]), float(record["expires_at_s"]))
