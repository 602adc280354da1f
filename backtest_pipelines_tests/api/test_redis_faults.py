"""Redis killed, stopped and full under load: every answer is right, none is refused."""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines_tests.api.processes import api
from backtest_pipelines_tests.integration.dagster_servers import write_small_market
from backtest_pipelines_tests.ports import free_port
from backtest_pipelines_tests.servers import ValkeyServer

CALLERS = 4
FAULT_S = 1.5
QUESTIONS = [
    {"strategy_name": name, "parameters": {"call_sell_position": position}}
    for name in ("call_sell_future_buy_weekly", "call_sell_future_buy_t1")
    for position in (0, 1, 2)
]


@dataclass
class Load:
    """Callers that ask all questions again and again and compare each answer with the first one."""

    url: str
    right: list[object]
    over: threading.Event = field(default_factory=threading.Event)
    times_ms: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def call(self, shift: int) -> None:
        with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as client:
            number = shift
            while not self.over.is_set():
                number = (number + 1) % len(QUESTIONS)
                start = time.perf_counter()
                answer = client.post("/api/v1/execute", json=QUESTIONS[number])
                self.times_ms.append((time.perf_counter() - start) * 1000)
                if answer.status_code != 200 or answer.json()["result"] != self.right[number]:
                    self.wrong.append(answer.text[:300])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, ValkeyServer]]:
    home = tmp_path_factory.mktemp("home")
    write_small_market(home / "market")
    ingest(exchange_files(home / "market"), PanelStore(home / "panel"))
    with (
        ValkeyServer() as valkey,
        api(
            home, f"http://127.0.0.1:{free_port()}", environ={"REDIS_URL": f"unix://{valkey.start().socket}"}
        ) as running,
        httpx.Client(base_url=running.url, timeout=30, trust_env=False) as client,
    ):
        yield client, valkey


def killed(valkey: ValkeyServer) -> None:
    valkey.kill()
    time.sleep(FAULT_S)
    valkey.start()


def stopped(valkey: ValkeyServer) -> None:
    valkey.pause()
    time.sleep(FAULT_S)
    valkey.resume()


def full(valkey: ValkeyServer) -> None:
    with valkey.client() as client:
        client.flushall()
        client.config_set("maxmemory", 2**20)  # less than it has: every write is refused
        time.sleep(FAULT_S)
        client.config_set("maxmemory", 0)


@pytest.mark.parametrize("fault", [killed, stopped, full], ids=lambda fault: fault.__name__)
def test_answers_stay_right_and_none_is_refused(
    service: tuple[httpx.Client, ValkeyServer],
    fault: Callable[[ValkeyServer], None],
    record_property: Callable[[str, Any], None],
) -> None:
    client, valkey = service
    right = [client.post("/api/v1/execute", json=question).json()["result"] for question in QUESTIONS]
    load = Load(str(client.base_url), right)
    threads = [threading.Thread(target=load.call, args=(shift,)) for shift in range(CALLERS)]
    before = client.get("/api/v1/metrics").json()["overall"]["total_executions"]
    for thread in threads:
        thread.start()
    try:
        time.sleep(FAULT_S / 3)
        fault(valkey)
        time.sleep(FAULT_S)
    finally:
        load.over.set()
        for thread in threads:
            thread.join()
    assert load.wrong == []
    assert len(load.times_ms) > 10 * CALLERS
    after = client.get("/api/v1/metrics").json()["overall"]["total_executions"]
    assert after - before == len(load.times_ms), "each answer is on record once"
    record_property("p99_ms", statistics.quantiles(load.times_ms, n=100)[98])
    # What is found again in Redis says that it is used again.
    deadline = time.monotonic() + 10
    while client.post("/api/v1/execute", json=QUESTIONS[0]).json()["cached"] is not True or tier(client) != "redis":
        assert time.monotonic() < deadline, "Redis is not used again"
        time.sleep(0.1)


def tier(client: httpx.Client) -> str | None:
    found: str | None = client.get("/api/v1/executions?limit=1").json()[0]["tier"]
    return found
