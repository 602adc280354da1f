"""What a request shows of itself: taken out of its headers, so that nothing behind the login ever sees it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

COOKIE: Final = "backtest_session"
COOKIE_BY_TLS: Final = f"__Host-{COOKIE}"
"""A browser takes this name only over TLS, from this host itself and for all paths."""
_COOKIES: Final = (COOKIE.encode(), COOKIE_BY_TLS.encode())

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request shows.

    Attributes
    ----------
    authorization : bytes or None
        The header, which decides alone where it is sent.
    session : str or None
        Value of our cookie.
    """

    authorization: bytes | None = None
    session: str | None = None


def taken(headers: Iterable[tuple[bytes, bytes]], cookie: str) -> tuple[Credentials, Headers]:
    """Return what a request shows, and its headers without it.

    Parameters
    ----------
    headers : iterable of (bytes, bytes)
    cookie : str
        Name of the cookie that counts, `COOKIE` or `COOKIE_BY_TLS`; the other one is taken out, too.
    """
    authorization, cookies, rest = None, [], []
    for header in headers:
        name = header[0].lower()
        if name == b"authorization":
            authorization = header[1]
        elif name == b"cookie":
            cookies.append(header[1])
        else:
            rest.append(header)
    session = None
    if cookies:
        pairs = [pair.strip() for text in cookies for pair in text.split(b";")]
        ours = [value for name, _, value in (pair.partition(b"=") for pair in pairs) if name == cookie.encode()]
        # Two of one name: a page of another port or a parent domain may have set one of them.
        session = ours[0].decode("latin-1") if len(ours) == 1 else None
        others = [pair for pair in pairs if pair.partition(b"=")[0] not in _COOKIES]
        if others:
            rest.append((b"cookie", b"; ".join(others)))
    return Credentials(authorization, session), rest


def bearer(authorization: bytes) -> bytes | None:
    """Return the token in a header; None where it is written in another scheme."""
    scheme, _, secret = authorization.partition(b" ")
    return secret.strip() if scheme.lower() == b"bearer" else None
