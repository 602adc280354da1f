"""The gateway, over real connections to a real process, with a stand-in behind it that can fail."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from backtest_pipelines_tests.api.processes import Api, api
from backtest_pipelines_tests.api.upstream import PIECE, Upstream, upstream
from backtest_pipelines_tests.ports import free_port

GRAPHQL_WS = Subprotocol("graphql-ws")


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def gateway(stand_in: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(tmp_path_factory.mktemp("home"), stand_in.url) as running:
        yield running


def test_a_request_goes_on_as_it_came_without_the_headers_of_its_connection(gateway: Api, stand_in: Upstream) -> None:
    answer = httpx.post(
        f"{gateway.url}/some%2Fpath//x?b=2&a=%20",
        content=b"body",
        headers={"Connection": "keep-alive, X-Mine", "X-Mine": "1", "X-Kept": "yes", "Cookie": "c=1", "TE": "trailers"},
    )
    method, path, sent, body = stand_in.requests[-1]
    headers = {name.lower(): value for name, value in sent}
    assert (method, path, body) == ("POST", "/some%2Fpath//x?b=2&a=%20", b"body")
    assert (headers["x-kept"], headers["cookie"], headers["content-length"]) == ("yes", "c=1", "4")
    assert headers["user-agent"].startswith("python-httpx")
    assert "http://" + headers["host"] == stand_in.url
    assert not {"x-mine", "te", "transfer-encoding"} & headers.keys()
    assert (answer.status_code, answer.content) == (207, b"echo")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert answer.headers["x-kept"] == "yes"
    assert "x-of-this-hop" not in answer.headers


def test_no_cookie_of_one_caller_reaches_another(gateway: Api, stand_in: Upstream) -> None:
    httpx.get(f"{gateway.url}/first")
    httpx.get(f"{gateway.url}/second")
    assert "cookie" not in {name.lower() for name, _ in stand_in.requests[-1][2]}


def test_frames_are_forbidden_beside_what_the_web_server_says(gateway: Api) -> None:
    headers = httpx.get(f"{gateway.url}/any").headers
    assert headers["x-frame-options"] == "DENY"
    assert headers.get_list("content-security-policy") == ["default-src 'self'", "frame-ancestors 'none'"]


def test_a_redirect_is_the_callers_to_follow(gateway: Api) -> None:
    answer = httpx.get(f"{gateway.url}/redirect")
    assert (answer.status_code, answer.headers["location"]) == (302, "/elsewhere")


def test_an_answer_is_streamed_while_it_is_made(gateway: Api, stand_in: Upstream) -> None:
    stand_in.release.clear()
    with httpx.stream("GET", f"{gateway.url}/stream", timeout=5) as answer:
        pieces = answer.iter_raw()
        got = next(pieces)
        while len(got) < len(PIECE):
            got += next(pieces)
        stand_in.release.set()
        got += b"".join(pieces)
    assert got == 2 * PIECE


def test_a_large_body_in_pieces_arrives_whole(gateway: Api, stand_in: Upstream) -> None:
    httpx.post(f"{gateway.url}/large", content=(PIECE for _ in range(100)), timeout=20)
    assert stand_in.requests[-1][3] == 100 * PIECE


def test_who_hangs_up_ends_the_web_servers_work_too(gateway: Api, stand_in: Upstream) -> None:
    with httpx.stream("GET", f"{gateway.url}/endless") as answer:
        next(answer.iter_raw())
    assert stand_in.abandoned.wait(5)


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(gateway: Api) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{gateway.url}/breaks-off", timeout=5)


def test_a_web_server_that_is_away_is_said_once_and_once_that_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    with api(tmp_path, f"http://127.0.0.1:{port}") as served:

        def lines(of: str) -> list[str]:
            said = (tmp_path / "api.log").read_text().splitlines()
            return [line.partition("WARNING")[2] for line in said if of in line]

        for number in range(3):
            assert httpx.get(f"{served.url}/{number}").status_code == 502
        away = f" api Dagster's web server at http://127.0.0.1:{port} does not answer: Connect call failed"
        assert [line[: len(away)] for line in lines(f"api Dagster's web server at http://127.0.0.1:{port}")] == [away]
        assert lines("answers again") == []
        with upstream(port):
            for number in range(3):
                assert httpx.get(f"{served.url}/{number}").status_code == 207
        assert lines("answers again") == [" api Dagster's web server answers again"]


def test_without_a_web_server_the_answer_is_502_at_once(tmp_path: Path) -> None:
    with api(tmp_path, f"http://127.0.0.1:{free_port()}") as alone:
        start = time.monotonic()
        answer = httpx.get(f"{alone.url}/runs")
        assert time.monotonic() - start < 1
        assert (answer.status_code, answer.headers["content-type"]) == (502, "application/problem+json")
        assert answer.json()["status"] == 502
        assert answer.headers["retry-after"] == "1"

        async def opened() -> int | None:
            async with connect(f"ws://127.0.0.1:{alone.port}/graphql", subprotocols=[GRAPHQL_WS]) as websocket:
                await websocket.wait_closed()
                return websocket.close_code

        assert asyncio.run(opened()) == 1011


def exchange(port: int, *messages: str | bytes, close_with: int | None = None) -> tuple[list[str | bytes], int | None]:
    """Send messages over a websocket; return the answers and the code that it was closed with."""

    async def exchanging() -> tuple[list[str | bytes], int | None]:
        answers: list[str | bytes] = []
        async with connect(f"ws://127.0.0.1:{port}/graphql?x=1", subprotocols=[GRAPHQL_WS], max_size=None) as websocket:
            assert websocket.subprotocol == GRAPHQL_WS
            try:
                for message in messages:
                    await websocket.send(message)
                    answers.append(await asyncio.wait_for(websocket.recv(), 5))
            except ConnectionClosed:
                pass
            if close_with:
                await websocket.close(close_with)
            return answers, websocket.close_code

    return asyncio.run(exchanging())


def test_messages_of_a_websocket_pass_both_ways_and_its_handshake_is_made_anew(
    gateway: Api, stand_in: Upstream
) -> None:
    large = b"x" * 3_000_000
    answers, _ = exchange(gateway.port, "text", b"\x00\x01", large, close_with=1000)
    assert answers == ["TEXT", b"\x01\x00", large]
    _, path, headers, _ = stand_in.requests[-1]
    assert path == "/graphql?x=1"
    assert "sec-websocket-extensions" not in {name.lower() for name, _ in headers}


@pytest.mark.parametrize(("message", "code"), [("close 4001", 4001), ("close 1000", 1000), ("die", 1011)])
def test_the_code_of_a_close_passes_and_a_death_is_an_error(gateway: Api, message: str, code: int) -> None:
    assert exchange(gateway.port, message) == ([], code)


@pytest.mark.parametrize("code", [1000, 4404])
def test_the_callers_close_reaches_the_web_server(gateway: Api, stand_in: Upstream, code: int) -> None:
    stand_in.closed_with.clear()
    exchange(gateway.port, "text", close_with=code)
    deadline = time.monotonic() + 5
    while not stand_in.closed_with:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert stand_in.closed_with == [code]


def test_it_ends_within_its_time_though_a_websocket_and_an_answer_are_open(stand_in: Upstream, tmp_path: Path) -> None:
    with api(tmp_path, stand_in.url) as ending, httpx.stream("GET", f"{ending.url}/endless") as answer:
        next(answer.iter_raw())

        async def closed_with() -> int | None:
            async with connect(f"ws://127.0.0.1:{ending.port}/graphql") as websocket:
                ending.process.terminate()
                await asyncio.wait_for(websocket.wait_closed(), 5)
                return websocket.close_code

        start = time.monotonic()
        assert asyncio.run(closed_with()) == 1012
        assert ending.process.wait(6) == 0
        assert time.monotonic() - start < 6
