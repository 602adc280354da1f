"""HTTP to the service: connections that are kept, and requests that are sent again when they got lost.

Every request of the service may be sent twice without harm (a submission carries its request id), so that one rule
holds for all. ``http.client`` because a command that asks one question starts in 0.05 s with it; httpx and what it
imports take 0.2 to 0.3 s.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from queue import Empty, LifoQueue
from urllib.parse import urlsplit

from backtest_pipelines.errors import BadRequestError, UnavailableError

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
NOT_NOW = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, slots=True)
class Reply:
    """Status and body of a reply."""

    status: int
    body: bytes


class Transport:
    """Connections to one service, shared by threads: a request takes an idle one or opens another.

    Parameters
    ----------
    url : str
        Such as ``http://127.0.0.1:8000``.
    timeout_s : float
        For connecting and for each wait for bytes.
    retry_s : float
        How long a request that got lost is sent again, with growing pauses; 0: never.

    Raises
    ------
    BadRequestError
        If the URL is no address of HTTP.
    """

    def __init__(self, url: str, timeout_s: float, retry_s: float) -> None:
        parts = urlsplit(url)
        try:
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
            raise BadRequestError("url", url, "allowed: an address such as http://127.0.0.1:8000")
        self.url = url.rstrip("/")
        self._path = parts.path.rstrip("/")
        self._address = host, port
        self._kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._idle: LifoQueue[HTTPConnection] = LifoQueue()

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        retry_s: float | None = None,
    ) -> Reply:
        """Return the reply to a request, whatever its status; a lost request, 502 and 503 are tried again.

        Parameters
        ----------
        method, path : str
        body : bytes, optional
        headers : Mapping of str to str, optional
        retry_s : float, optional
            Instead of the transport's own.

        Raises
        ------
        UnavailableError
            If the service does not answer.
        """
        deadline = time.monotonic() + (self._retry_s if retry_s is None else retry_s)
        pause_s = FIRST_PAUSE_S
        while True:
            lost: Exception | None = None
            try:
                reply = self._send_once(method, path, body, headers or {})
            except (OSError, HTTPException) as error:
                lost = error
            else:
                if reply.status not in NOT_NOW:
                    return reply
            if time.monotonic() + pause_s > deadline:
                if lost is None:
                    return reply
                msg = f"no service answers at {self.url} ({_reason(lost)})"
                raise UnavailableError(msg) from lost
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return

    def _send_once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Reply:
        try:
            connection = self._idle.get_nowait()
        except Empty:
            connection = self._kind(*self._address, timeout=self._timeout_s)
        try:
            connection.request(method, self._path + path, body, dict(headers))
            response = connection.getresponse()
            reply = Reply(response.status, response.read())
        except (OSError, HTTPException):
            # The service went away: what else is idle was connected to the same process.
            connection.close()
            self.close()
            raise
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)
        return reply


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
