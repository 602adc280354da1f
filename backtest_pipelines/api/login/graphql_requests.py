"""GraphQL by POST from who may not do everything: the body is read whole and checked before it goes on."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.types import Message, Receive
from starlette.types import Scope as Connection

from backtest_pipelines.api.login import graphql_documents
from backtest_pipelines.api.login.bodies import body
from backtest_pipelines.api.login.graphql_documents import LONGEST_REQUEST
from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.api.problems import problem
from backtest_pipelines.errors import BadRequestError

_READ_FROM_URLS: Final = ("query", "operationName", "variables")


async def scope_of(connection: Connection, receive: Receive) -> tuple[Scope | Response, Receive]:
    """Return the scope that a request needs, or why it is refused; and what its body can be received from again.

    Parameters
    ----------
    connection : ASGI scope
    receive
    """
    in_url = parse_qs(connection["query_string"].decode("latin-1"), keep_blank_values=True)
    for name in _READ_FROM_URLS:
        if name in in_url:
            limit = "allowed: GraphQL in the body alone"
            return problem(400, f"{name}: given in the URL; {limit}", field=name, limit=limit), receive
    sent = await body(receive, LONGEST_REQUEST)
    if sent is None:
        limit = f"allowed: {LONGEST_REQUEST} bytes"
        return problem(413, f"body: longer than that; {limit}", field="body", limit=limit), receive
    try:
        needed = graphql_documents.scope_of(graphql_documents.decoded(sent))
    except BadRequestError as error:
        return problem(400, str(error), field=error.field, value=error.value, limit=error.limit), receive
    return needed, _again(sent, receive)


def _again(sent: bytes, receive: Receive) -> Receive:
    """Return what gives the body in one piece, then whatever else is received."""
    messages: list[Message] = [{"type": "http.request", "body": sent, "more_body": False}]

    async def receiving() -> Message:
        return messages.pop() if messages else await receive()

    return receiving
