"""Dagster's web server, asked by GraphQL over loopback, and told of answers that no run computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from backtest_pipelines.api.trouble import Trouble
from backtest_pipelines.errors import BugError, UnavailableError
from backtest_pipelines.graphql import documents, replies

ASK_S: Final = 30.0
"""How long one question may take: the web server waits up to 5 s and more for a busy store."""


class NoAnswerError(UnavailableError):
    """Dagster's web server does not answer at all, just now."""


def why_no_answer(error: Exception) -> str:
    """Return why a server does not answer, in the same words for each request: those of aiohttp name what was asked."""
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


class WebServer:
    """Dagster's web server at a URL.

    Parameters
    ----------
    url : str
        Such as http://127.0.0.1:3000.
    session : aiohttp.ClientSession
    trouble : Trouble
        What is said where it does not answer.
    """

    def __init__(self, url: str, session: aiohttp.ClientSession, trouble: Trouble) -> None:
        self._url = url
        self._session = session
        self._trouble = trouble

    async def ask(self, document: str, **variables: object) -> dict[str, Any]:
        """Return the data of the answer to a document.

        Raises
        ------
        NoAnswerError
            If the server does not answer.
        UnavailableError
            If it failed on the way to its answer.
        BugError
            If it refuses the document.
        """
        _, reply = await self._posted("/graphql", documents.body(document, **variables))
        return replies.data(reply)

    async def report_materialization(self, content: Mapping[str, object]) -> None:
        """Let Dagster put a materialization on record that no run made.

        Parameters
        ----------
        content : Mapping
            ``asset_key`` (a list), ``partition``, ``data_version``, ``description``, ``metadata``.

        Raises
        ------
        NoAnswerError
            If the server does not answer: perhaps it is on record.
        UnavailableError
            If the server could not put it on record.
        BugError
            If it refuses the content.
        """
        status, reply = await self._posted("/report_asset_materialization/", json.dumps(content).encode())
        if status != 200:
            msg = f"Dagster's web server took no report of {content['asset_key']}: {status} {reply[:500]!r}"
            raise BugError(msg) if 400 <= status < 500 else UnavailableError(msg)

    async def _posted(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Post JSON and return the status and the body of the reply."""
        try:
            async with self._session.post(
                f"{self._url}{path}",
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=ASK_S),
            ) as answer:
                status, reply = answer.status, await answer.read()
        except (aiohttp.ClientError, OSError) as error:
            self._trouble.note(reason := why_no_answer(error))
            msg = f"Dagster's web server at {self._url} does not answer: {reason}"
            raise NoAnswerError(msg) from error
        self._trouble.note("")
        return status, reply
