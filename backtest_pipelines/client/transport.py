"""HTTP to the service: requests that are sent again when they got lost.

Every request of the service may be sent twice without harm (a submission carries its request id), so that one rule
holds for all.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

import httpx

from backtest_pipelines.errors import BadRequestError, UnavailableError

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
NOT_NOW = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE)


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
    token : str or None
        Sent with each request.
    timeout_s : float
        For connecting and for each wait for bytes.
    retry_s : float
        How long a request that got lost is sent again, with growing pauses; 0: never.

    Raises
    ------
    BadRequestError
        If the URL is no address of HTTP, or the token no token.
    """

    def __init__(self, url: str, token: str | None, timeout_s: float, retry_s: float) -> None:
        try:
            address = httpx.URL(url)
        except httpx.InvalidURL:
            address = httpx.URL()
        if address.scheme not in ("http", "https") or not address.host or address.query or address.fragment:
            raise BadRequestError("url", url, "allowed: an address such as http://127.0.0.1:8000")
        if token is not None and not re.fullmatch(r"[!-~]+", token):
            raise BadRequestError("token", "text that no token is", "allowed: visible ASCII characters, no spaces")
        self.url = url.rstrip("/")
        self._retry_s = retry_s
        # A proxy of the environment is for other places than one's own service.
        shown = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(timeout=timeout_s, trust_env=False, headers=shown)

    def send(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        retry_s: float | None = None,
    ) -> Reply:
        """Return the reply to a request, whatever its status; a lost one, 429, 502 and 503 are tried again.

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
                response = self._http.request(method, self.url + path, content=body, headers=headers)
            except httpx.TransportError as error:
                lost = error
            else:
                reply = Reply(response.status_code, response.content)
                if reply.status not in NOT_NOW:
                    return reply
            if time.monotonic() + pause_s > deadline:
                if lost is None:
                    return reply
                msg = f"no service answers at {self.url} ({lost or type(lost).__name__})"
                raise UnavailableError(msg) from lost
            time.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - many that lost one service do not return together
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
