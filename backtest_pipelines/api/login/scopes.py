"""The scopes of tokens, and which of them a path and method need."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

OPEN: Final = frozenset({"/health", "/ready"})
"""Paths that tell nothing but whether the service is there."""
GRAPHQL: Final = "/graphql"
SAFE: Final = frozenset({"GET", "HEAD"})
_REST: Final = "/api/v1/"
_CACHE: Final = "/api/v1/cache/"


class Scope(IntEnum):
    """What a token allows; each scope includes those before it."""

    READ = 1
    RUN = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """Its name as users write it."""
        return self.name.lower()


WORDS: Final = tuple(scope.word for scope in Scope)


def needed(method: str, path: str) -> Scope | None:
    """Return the scope that a request needs; None where it needs no login.

    Parameters
    ----------
    method : str
        A websocket is opened by GET.
    path : str
        GraphQL needs at least this scope: what more it needs is in its document.
    """
    if method in SAFE:
        return None if path in OPEN else Scope.READ
    if method == "POST" and path == GRAPHQL:
        return Scope.READ
    if method in ("POST", "DELETE") and path.startswith(_REST) and not f"{path}/".startswith(_CACHE):
        return Scope.RUN
    return Scope.ADMIN
