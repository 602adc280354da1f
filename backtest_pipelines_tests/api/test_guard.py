"""What a foreign web page could have a browser send, over real connections: none of it reaches the web server."""

import asyncio
import http.client
from collections.abc import Iterator

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from backtest_pipelines_tests.api.processes import Api, api
from backtest_pipelines_tests.api.upstream import Upstream, upstream

JSON = {"Content-Type": "application/json"}
CLIENT = httpx.Client(trust_env=False, limits=httpx.Limits(max_keepalive_connections=0))
MUTATION = {"query": "mutation { __typename }"}


@pytest.fixture(scope="module")
def stand_in() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


@pytest.fixture(scope="module")
def guarded(stand_in: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(tmp_path_factory.mktemp("home"), stand_in.url, "--allow-host", "Backtests.Example") as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_seen(stand_in: Upstream) -> None:
    stand_in.requests.clear()


def own(guarded: Api) -> dict[str, str]:
    return {"Origin": guarded.url, "Sec-Fetch-Site": "same-origin"}


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.7:8000", "", "user@localhost", "localhost/", "["]
)
@pytest.mark.parametrize("path", ["/", "/api/v1/jobs", "/health", "/graphql"])
def test_a_foreign_host_is_refused(guarded: Api, stand_in: Upstream, host: str, path: str) -> None:
    answer = CLIENT.post(f"{guarded.url}{path}", headers={"Host": host}, json=MUTATION)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json")
    assert (answer.json()["field"], answer.json()["value"]) == ("Host", host)
    assert stand_in.requests == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:9000", "[::1]:8000", "127.0.0.1", "backtests.example"])
def test_its_own_names_pass_whatever_the_port(guarded: Api, host: str) -> None:
    assert CLIENT.get(f"{guarded.url}/health", headers={"Host": host}).json() == {"status": "ok"}


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "http://localhost"])
@pytest.mark.parametrize("path", ["/graphql", "/api/v1/jobs"])
def test_a_page_of_another_origin_is_refused(guarded: Api, stand_in: Upstream, origin: str, path: str) -> None:
    answer = CLIENT.post(f"{guarded.url}{path}", headers={"Origin": origin}, json=MUTATION)
    assert (answer.status_code, answer.json()["field"]) == (403, "Origin")
    assert stand_in.requests == []


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_a_browser_says_comes_from_elsewhere_is_refused_but_for_a_link(guarded: Api, site: str) -> None:
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}
    assert CLIENT.get(f"{guarded.url}/api/v1/jobs", headers=headers).status_code == 403
    assert CLIENT.post(f"{guarded.url}/graphql", headers=headers, json=MUTATION).status_code == 403
    link = headers | {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert CLIENT.get(f"{guarded.url}/runs", headers=link).status_code == 207
    assert CLIENT.post(f"{guarded.url}/runs", headers=link).status_code == 403
    frame = link | {"Sec-Fetch-Dest": "iframe"}
    assert CLIENT.get(f"{guarded.url}/runs", headers=frame).status_code == 403


def test_its_own_pages_and_programs_may_ask(guarded: Api, stand_in: Upstream) -> None:
    assert CLIENT.post(f"{guarded.url}/graphql", headers=own(guarded), json=MUTATION).status_code == 207
    assert CLIENT.post(f"{guarded.url}/graphql?op=x", json=MUTATION).status_code == 207
    assert len(stand_in.requests) == 2


@pytest.mark.parametrize(
    "path",
    [
        "/graphql",
        "/graphql/",
        "/%67raphql",
        "/%2567raphql",
        "/x/..//graphql",
        "//graphql",
        "/./graphql",
        "/x/%2e%2e/graphql",
        "/x%2f..%2fgraphql",
        "/x\\..\\graphql",
        "/graphql;a=b",
        "/graphql%20",
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_graphql_passes_by_post_only_however_its_path_is_written(
    guarded: Api, stand_in: Upstream, path: str, method: str
) -> None:
    assert raw(guarded, method, f"{path}?query=mutation%7B__typename%7D") == 405
    assert stand_in.requests == []


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/graphql", None])
def test_graphql_is_taken_as_json_only(guarded: Api, stand_in: Upstream, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    assert CLIENT.post(f"{guarded.url}/graphql", headers=headers, content=b"{}").status_code == 415
    assert stand_in.requests == []


@pytest.mark.parametrize("path", ["/report_asset_materialization/x", "/%72eport_asset_check/x", "/a/../report_asset_x"])
def test_assets_are_not_reported_from_outside(guarded: Api, stand_in: Upstream, path: str) -> None:
    assert raw(guarded, "POST", path) == 403
    assert stand_in.requests == []


@pytest.mark.parametrize("path", ["/a%00b", "/a%0ab", "/%" + "25" * 40 + "67", "@evil.example/", "*"])
def test_a_path_that_no_honest_caller_writes_is_refused(guarded: Api, stand_in: Upstream, path: str) -> None:
    assert raw(guarded, "GET", path) == 400
    assert stand_in.requests == []


def test_two_hosts_are_refused(guarded: Api) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=5)
    connection.putrequest("GET", "/health", skip_host=True)
    connection.putheader("Host", "localhost")
    connection.putheader("Host", "evil.example")
    connection.endheaders()
    assert connection.getresponse().status == 400
    connection.close()


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}], ids=str
)
def test_a_foreign_page_opens_no_websocket(guarded: Api, stand_in: Upstream, headers: dict[str, str]) -> None:
    async def status() -> int:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{guarded.port}/graphql", additional_headers=headers)
        return refused.value.response.status_code

    assert asyncio.run(status()) == 403
    assert stand_in.requests == []


def test_its_own_page_opens_a_websocket(guarded: Api) -> None:
    async def answer() -> str | bytes:
        async with connect(f"ws://127.0.0.1:{guarded.port}/graphql", additional_headers=own(guarded)) as websocket:
            await websocket.send("hello")
            return await asyncio.wait_for(websocket.recv(), 5)

    assert asyncio.run(answer()) == "HELLO"


def raw(guarded: Api, method: str, path: str) -> int:
    """Return the status of a request whose path goes out exactly as it is written."""
    connection = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=5)
    connection._validate_path = lambda _: None  # type: ignore[attr-defined]
    connection.request(method, path, headers=JSON)
    try:
        return connection.getresponse().status
    finally:
        connection.close()
