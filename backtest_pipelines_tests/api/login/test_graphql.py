"""GraphQL by POST and by websocket: what a document asks for decides which scope it needs."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines.graphql import documents
from backtest_pipelines_tests.api.login.installations import DELETE, LAUNCH, QUERY, WRONG, Guarded

BOTH = "query Q { version } mutation D { deleteRun(runId: 1) { x } }"
IN_FRAGMENTS = """
mutation M { ...A ... on Mutation { a: terminateRun(runId: 1) { x } } }
fragment A on Mutation { ...B }
fragment B on Mutation { ...A harmless: %s { x } }
"""
READ = [
    QUERY,
    {"query": "{ version }"},
    {"query": "subscription S { pipelineRunLogs(runId: 1) { x } }"},
    {"query": '# mutation { deleteRun }\n{ version(text: "mutation { deleteRun }") }'},
    {"query": documents.RUNS, "variables": {"runs": []}},
    {"query": "{ ...A } fragment A on Query { a { ...B } } fragment B on Query { b { ...A } }"},
    {"query": documents.LOGS, "variables": {"run": "x", "cursor": None}},
]
RUN = [
    LAUNCH,
    {"query": documents.LAUNCH},
    {"query": documents.TERMINATE},
    {"query": IN_FRAGMENTS % "launchRun"},
    {"query": "mutation { deleteRun: launchRun { x } }"},
    {"query": "query Q { version } mutation L { launchMultipleRuns { x } }", "operationName": "Q"},
]
ADMIN = [
    DELETE,
    {"query": BOTH},
    {"query": BOTH, "operationName": "Q"},
    {"query": BOTH, "operationName": "D"},
    {"query": IN_FRAGMENTS % "deleteRun"},
    {"query": "mutation { launchRun: deleteRun { x } }"},
    {"query": "mutation { launchRun { x } wipeAssets { x } }"},
    {"query": "\ufeffmutation\n,,,\n{ reloadWorkspace { x } }"},
    {"query": "mutation { __typename }"},
]


def doubling(fragments: int) -> str:
    """Return a document of so many fragments, each of which names the one before it twice: 3 * 2 ** n - 1 fields."""
    nested = " ".join(f"fragment F{n + 1} on Run {{ a {{ ...F{n} }} b {{ ...F{n} }} }}" for n in range(fragments))
    return f"query Q {{ runs {{ ...F{fragments} }} }} fragment F0 on Run {{ c }} {nested}"


CHAIN = "{ ...F0 } " + " ".join(f"fragment F{n} on Q {{ a {{ ...F{n + 1} }} }}" for n in range(300))
"""Of fragments within each other, the last of which is not defined."""
BAD: list[Any] = [
    [QUERY],
    [DELETE],
    "text",
    {},
    {"query": None},
    {"query": ["query Q { version }"]},
    {"query": ""},
    {"query": "query {"},
    {"query": "mutation { ...Nowhere }"},
    {"query": "type Query { a: Int }"},
    {"query": "{ a }" + " " * 50_000},
    {"query": "{" + " a" * 5_000 + "}"},
    {"query": "{ a " * 40 + "}" * 40},
    {"query": "{ a(b: " + "[" * 2_000 + "]" * 2_000 + ") }"},
    {"query": doubling(11)},
    {"query": doubling(200)},
    {"query": doubling(200).replace("query Q", "mutation Q")},
]


@pytest.mark.parametrize(
    ("needed", "body"), [*((1, body) for body in READ), *((2, body) for body in RUN), *((3, body) for body in ADMIN)]
)
def test_a_document_passes_with_the_scope_that_it_needs_and_not_with_less(
    service: Guarded, needed: int, body: object
) -> None:
    for scope in Scope:
        service.stand_in.requests.clear()
        answer = service.ask(scope.word, "POST", "/graphql", body)
        if scope >= needed:
            assert answer.status_code == 207, answer.text
            assert json.loads(service.stand_in.requests[-1][3]) == body
        else:
            assert (answer.status_code, answer.json()["field"]) == (403, "scope")
            assert service.stand_in.requests == []


@pytest.mark.parametrize("body", BAD, ids=lambda body: json.dumps(body)[:30])
@pytest.mark.parametrize("caller", ["read", "run"])
def test_what_cannot_be_read_one_way_is_refused(service: Guarded, caller: str, body: object) -> None:
    answer = service.ask(caller, "POST", "/graphql", body)
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert "limit" in answer.json()
    assert service.stand_in.requests == []


@pytest.mark.parametrize("document", [doubling(10), CHAIN], ids=["doubling", "chain"])
def test_fragments_within_each_other_pass_while_they_are_not_too_many(service: Guarded, document: str) -> None:
    assert service.ask("read", "POST", "/graphql", {"query": document}).status_code == 207


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"query": "mutation { deleteRun }", "query": "{ version }"}', 400),
        (b'{"query": "{ version }", "qu\\u0065ry": "mutation { deleteRun }"}', 400),
        ('{"query": "{ version }"}'.encode("utf-16"), 400),
        (b"\x1f\x8b", 400),
        (b"[" * 100_000, 400),
        (b" " * 1_000_001, 413),
    ],
    ids=["twice", "twice, escaped", "UTF-16", "gzip", "deep", "long"],
)
def test_bytes_that_two_readers_could_take_differently_are_refused(service: Guarded, body: bytes, status: int) -> None:
    headers = [("Host", "127.0.0.1"), ("Content-Type", "application/json"), *service.shown("read").items()]
    assert service.raw("POST", "/graphql", headers, body) == status
    assert service.stand_in.requests == []


def test_a_body_in_pieces_is_read_whole(service: Guarded) -> None:
    pieces = (piece for piece in (b'{"query": "{ ver', b'sion }"', b"}"))
    headers = {**service.shown("read"), "Content-Type": "application/json"}
    answer = httpx.post(f"{service.url}/graphql", content=pieces, headers=headers)
    assert answer.status_code == 207
    assert service.stand_in.requests[-1][3] == b'{"query": "{ version }"}'


def exchange(service: Guarded, headers: dict[str, str], *messages: str | bytes) -> tuple[list[str | bytes], int | None]:
    """Send messages one after the other; return the answers and the code that the websocket was closed with."""

    async def exchanging() -> tuple[list[str | bytes], int | None]:
        answers: list[str | bytes] = []
        async with connect(
            f"ws://127.0.0.1:{service.api.port}/graphql",
            subprotocols=[Subprotocol("graphql-ws")],
            additional_headers=headers,
        ) as websocket:
            try:
                for message in messages:
                    await websocket.send(message)
                    answers.append(await asyncio.wait_for(websocket.recv(), 5))
            except ConnectionClosed:
                pass
            else:
                await websocket.close()
            return answers, websocket.close_code

    return asyncio.run(exchanging())


def start(body: object, kind: str = "start") -> str:
    return json.dumps({"id": "1", "type": kind, "payload": body})


INIT = json.dumps({"type": "connection_init", "payload": {}})


@pytest.mark.parametrize("kind", ["start", "subscribe"])
@pytest.mark.parametrize(
    ("caller", "body", "passes"),
    [
        ("read", READ[2], True),
        ("read", QUERY, True),
        ("read", LAUNCH, False),
        ("read", DELETE, False),
        ("read", {"query": BOTH, "operationName": "Q"}, False),
        ("read", [QUERY], False),
        ("read", {"query": "{"}, False),
        ("run", LAUNCH, True),
        ("run", DELETE, False),
        ("admin", DELETE, True),
    ],
)
def test_each_message_of_a_websocket_is_checked(
    service: Guarded, kind: str, caller: str, body: object, passes: bool
) -> None:
    answers, code = exchange(service, service.shown(caller), INIT, start(body, kind))
    expected = [INIT.upper(), start(body, kind).upper()] if passes else [INIT.upper()]
    assert (answers, code) == (expected, 1000 if passes else 1008)


@pytest.mark.parametrize(
    "message",
    [
        "no JSON",
        "[]",
        '{"type": "else"}',
        '{"type": "start"}',
        b'{"type": "connection_init"}',
        '{"type": "stop", "type": "start"}',
        json.dumps({"type": "stop", "payload": "x" * 1_000_000}),
    ],
    ids=lambda message: str(message)[:30],
)
def test_other_messages_close_a_websocket(service: Guarded, message: str | bytes) -> None:
    assert exchange(service, service.shown("read"), INIT, message) == ([INIT.upper()], 1008)


def test_a_websocket_ends_with_its_token(service: Guarded) -> None:
    secret = Tokens(service.api.home).add("socket", Scope.READ)

    async def code() -> int | None:
        url = f"ws://127.0.0.1:{service.api.port}/graphql"
        async with connect(url, additional_headers=service.shown(secret)) as websocket:
            await websocket.send(INIT)
            await websocket.recv()
            Tokens(service.api.home).remove("socket")
            await websocket.send(INIT)
            await asyncio.wait_for(websocket.wait_closed(), 5)
            return websocket.close_code

    assert asyncio.run(code()) == 1008


@pytest.mark.parametrize(
    ("shown", "opens"),
    [
        ("none", False),
        ("wrong", False),
        ("token", True),
        ("cookie", False),
        ("cookie, own page", True),
        ("foreign", False),
    ],
)
@pytest.mark.parametrize("path", ["/graphql", "/health", "/any"])
def test_a_websocket_opens_for_who_logged_in(service: Guarded, shown: str, opens: bool, path: str) -> None:
    headers = {
        "none": service.origin,
        "wrong": service.shown(WRONG),
        "token": service.shown("read"),
        "cookie": {"Cookie": service.cookie("read")},
        "cookie, own page": {"Cookie": service.cookie("read"), **service.origin},
        "foreign": {"Cookie": service.cookie("read"), "Origin": "http://evil.example"},
    }[shown]
    service.stand_in.requests.clear()

    async def status() -> int:
        try:
            async with connect(f"ws://127.0.0.1:{service.api.port}{path}", additional_headers=headers):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    assert asyncio.run(status()) == (101 if opens else 403)
    assert bool(service.stand_in.requests) == opens
