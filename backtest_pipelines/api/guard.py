"""What is refused before anything else looks at it: requests that a foreign web page could have a browser send.

On loopback there may be no login, and a session is sent by a browser unasked: so a browser's word on where a request
comes from is what protects both: the name that it used (Host; a foreign name may have been re-bound to this machine),
the page that sent it (Origin, Sec-Fetch-Site).
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
import socket
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import unquote, urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backtest_pipelines.api.problems import problem

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ANSWERED_WITH: Final = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}
_NO_FRAMES: Final = "frame-ancestors 'none'"
_POLICY_VIOLATION: Final = 1008
_HOST: Final = re.compile(r"(\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(:[0-9]+)?")
_ONCE: Final = frozenset({"host", "origin", "content-type", "sec-fetch-site", "authorization", "idempotency-key"})
_UNQUOTINGS: Final = 8
"""More layers of percent signs than any honest path has."""


class Guard:
    """An ASGI application that passes on what may pass, http and websockets.

    Parameters
    ----------
    app : ASGI application
    host : str
        The address that the server is bound to. Where that is every address, any address of numbers passes as Host,
        as it cannot be re-bound, and so does the name of the machine.
    allowed_names : iterable of str
        Further names that the server is called by.
    """

    def __init__(self, app: ASGIApp, host: str, allowed_names: Iterable[str] = ()) -> None:
        self.app = app
        self._names = LOOPBACK_NAMES | {host.lower(), *(name.lower() for name in allowed_names)}
        self._every_address = host in ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
        if self._every_address:
            self._names |= {socket.gethostname().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on and forbid frames around the answer."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refused = self._refused(scope)
        if scope["type"] == "http":
            answer = refused or self.app
            await answer(scope, receive, _without_frames(send))
        elif refused:
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": "refused"})
        else:
            await self.app(scope, receive, send)

    def _refused(self, scope: Scope) -> Response | None:
        try:
            headers = _headers(scope)
            path = normal_path(scope["path"])
        except ValueError as error:
            return problem(400, str(error))
        host = headers.get("host", "")
        if not self._knows(host):
            limit = f"allowed: {', '.join(sorted(self._names))}; name another with --allow-host"
            return problem(403, f"Host: got {host!r}; {limit}", field="Host", value=host, limit=limit)
        return _foreign(scope, headers, host) or _forbidden(scope, headers, path)

    def _knows(self, host: str) -> bool:
        found = _HOST.fullmatch(host.lower())
        name = (found["address"] or found["name"]) if found else ""
        return name in self._names or (self._every_address and _is_address(name))


@lru_cache(maxsize=128)
def normal_path(path: str) -> str:
    """Return the path that a server could take this one for, however it is written.

    Raises
    ------
    ValueError
        If it is written in a way that no honest caller uses.
    """
    if not path.startswith("/"):
        # What is appended to an address could change whose address it is.
        msg = f"the path {path!r} does not begin with a slash"
        raise ValueError(msg)
    for _ in range(_UNQUOTINGS):
        if (plain := unquote(path)) == path:
            break
        path = plain
    else:
        msg = "the path is quoted too often"
        raise ValueError(msg)
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        msg = "the path holds control characters"
        raise ValueError(msg)
    parts = (part.partition(";")[0] for part in path.replace("\\", "/").split("/"))
    return posixpath.normpath("/" + "/".join(part.strip() for part in parts).lstrip("/"))


def _foreign(scope: Scope, headers: Mapping[str, str], host: str) -> Response | None:
    """Refuse what a page of another site had the browser send; a link from there to a page of ours may pass."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        limit = f"allowed: pages of {host}"
        return problem(403, f"Origin: got {origin!r}; {limit}", field="Origin", value=origin, limit=limit)
    site = headers.get("sec-fetch-site", "none")
    is_link = (
        scope["type"] == "http"
        and scope["method"] in ("GET", "HEAD")
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )
    if site not in ("none", "same-origin") and not is_link:
        limit = "allowed: requests of this server's own pages, and links to them"
        return problem(403, f"Sec-Fetch-Site: got {site!r}; {limit}", field="Sec-Fetch-Site", value=site, limit=limit)
    return None


def _forbidden(scope: Scope, headers: Mapping[str, str], path: str) -> Response | None:
    if path.startswith("/report_asset_"):
        return problem(403, "Assets are reported by this installation's own runs only.")
    if path != "/graphql" or scope["type"] == "websocket":
        return None
    # Dagster executes mutations sent by GET, which any picture on any page can send, and forms are posted unasked.
    if scope["method"] != "POST":
        return problem(405, f"GraphQL by {scope['method']} is refused: use POST.", {"Allow": "POST"})
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return problem(415, "GraphQL is taken as application/json only.")
    return None


def _headers(scope: Scope) -> dict[str, str]:
    """Return the headers that decide; two of one name could mean one thing here and another behind."""
    found: dict[str, str] = {}
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in found and key in _ONCE:
            msg = f"two headers {key}"
            raise ValueError(msg)
        found[key] = value.decode("latin-1")
    return found


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _without_frames(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _ANSWERED_WITH.items():
                headers[name] = value
            headers.append("Content-Security-Policy", _NO_FRAMES)
        await send(message)

    return sending
