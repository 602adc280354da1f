"""Requests that are too many, over real connections: refused without a begun work, and taken again afterwards."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines.client import Client
from backtest_pipelines_tests.api.processes import Api, api
from backtest_pipelines_tests.api.upstream import upstream
from backtest_pipelines_tests.ports import free_port

LISTED = "/api/v1/strategies"


def statuses(running: Api, number: int, headers: dict[str, str] | None = None) -> list[int]:
    """Ask so often within one second of the clock, on one connection."""
    with httpx.Client(base_url=running.url, trust_env=False, headers=headers) as client:
        client.get("/health")
        return [client.get(LISTED).status_code for _ in range(number)]


def test_one_caller_asks_so_often_a_second_and_another_token_is_another_caller(tmp_path: Path) -> None:
    secrets = [Tokens(tmp_path).add(name, Scope.READ) for name in ("eager", "calm")]
    eager, calm = ({"Authorization": f"Bearer {secret}"} for secret in secrets)
    environ = {"BACKTEST_REQUESTS_PER_S": "5"}
    with api(tmp_path, f"http://127.0.0.1:{free_port()}", environ=environ) as running:
        # The second of the server's clock may change once meanwhile, or more often on a loaded machine.
        begun = time.monotonic()
        found = statuses(running, 40, eager)
        taken = found.count(200)
        assert 5 <= taken <= 5 * (2 + int(time.monotonic() - begun))
        assert set(found) == {200, 429}
        assert statuses(running, 5, calm) == [200] * 5
        answers = [httpx.get(running.url + LISTED, headers=eager) for _ in range(40)]
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert (refused.headers["content-type"], refused.headers["retry-after"]) == ("application/problem+json", "1")
        assert refused.json()["limit"] == "allowed: 5 requests a second"
        assert "eager asks too often" in refused.json()["detail"]
        assert {httpx.get(f"{running.url}/health").status_code for _ in range(20)} == {200}
        with Client(running.url, token=secrets[0]) as client:
            assert [client.jobs() for _ in range(12)] == [[]] * 12  # it tries again


def test_so_many_are_under_way_at_the_same_time(tmp_path: Path) -> None:
    with (
        upstream() as stand_in,
        api(tmp_path, stand_in.url, environ={"BACKTEST_REQUESTS_AT_ONCE": "3"}) as running,
        ThreadPoolExecutor(3) as threads,
        httpx.Client(base_url=running.url, timeout=20, trust_env=False) as client,
    ):
        begun = threading.Barrier(4, timeout=20)

        def hold() -> int:
            with client.stream("GET", "/stream") as answer:
                begun.wait()
                return sum(map(len, answer.iter_raw()))

        held = [threads.submit(hold) for _ in range(3)]
        begun.wait()
        refused = client.get(LISTED)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert "BACKTEST_REQUESTS_AT_ONCE" in refused.json()["detail"]
        assert client.get("/health").status_code == 200
        stand_in.release.set()
        assert len({each.result(20) for each in held}) == 1
        assert client.get(LISTED).status_code == 200
