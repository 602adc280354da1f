"""`up`, `status`, `down` and `worker` as a user types them, on real processes; in this order, over three starts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from backtest_pipelines.api.login.scopes import Scope
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines.graphql import documents, replies
from backtest_pipelines.graphql.web_server import WebServer
from backtest_pipelines.service.supervisor.redis import redis_part
from backtest_pipelines.service.supervisor.sessions import Leader, wait_until
from backtest_pipelines.service.supervisor.state import read_state
from backtest_pipelines.service.supervisor.status import process_statuses, running_state
from backtest_pipelines_tests.cli.conftest import Finished, clean_environment, process
from backtest_pipelines_tests.integration.dagster_servers import processes_naming

NAMES = ["supervisor", "redis", "code", "web", "worker", "daemon", "api"]
READY_S = 60.0
"""Three or four times what it takes, for a machine that is busy with other tests."""


@dataclass
class Service:
    """A home and the supervisor that was last started on it."""

    home: Path
    supervisor: subprocess.Popen[str] | None = None

    def up(self) -> dict[str, Any]:
        """Start everything and return what the command says when it is ready."""
        command = [sys.executable, "-m", "backtest_pipelines", "up", "--home", str(self.home), "--port", "0"]
        with (self.home / "up.err").open("a") as errors:
            self.supervisor = subprocess.Popen(
                [*command, "--json"], env=clean_environment(), stdout=subprocess.PIPE, stderr=errors, text=True
            )
        out = self.supervisor.stdout
        assert out is not None
        lines = [out.readline()]
        while lines[-1] not in ("}\n", ""):
            lines.append(out.readline())
        said: dict[str, Any] = json.loads("".join(lines))
        return said

    def status(self) -> dict[str, Any]:
        content: dict[str, Any] = process("status", "--home", self.home, "--json").json
        return content

    def leaders(self) -> dict[str, Leader]:
        state = read_state(self.home)
        assert state is not None
        return {found.name: found.leader for found in state.processes if found.leader is not None}

    def is_up(self) -> bool:
        """Say the same as the exit status of `status`, and more quickly."""
        state = running_state(self.home)
        return state is not None and all(found.is_up for found in process_statuses(state))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    started = Service(tmp_path_factory.mktemp("home"))
    try:
        yield started
    finally:
        process("down", "--home", started.home)
        if started.supervisor is not None:
            started.supervisor.wait(10)
            assert started.supervisor.stdout is not None
            started.supervisor.stdout.close()


def test_nothing_runs_before_the_first_start(service: Service) -> None:
    assert process("status", "--home", service.home).code == 1
    assert service.status()["running"] is False
    down = process("down", "--home", service.home)
    assert (down.code, down.out) == (0, f"nothing runs on {service.home}\n")
    worker = process("worker", "--home", service.home)
    assert worker.code == 2
    assert "start it with `up`" in worker.err


def test_a_new_home_is_ready_and_its_one_address_leads_to_the_definitions(service: Service) -> None:
    said = service.up()
    assert said["ready_s"] < READY_S
    assert said["sign_in_url"] is None
    assert WebServer(said["url"], 5).is_ready()
    status = service.status()
    assert (status["up"], status["url"]) == (True, said["url"])
    assert [found["name"] for found in status["processes"]] == NAMES
    assert [found["restarts"] for found in status["processes"]] == [0] * len(NAMES)
    assert status["processes"][0]["pid"] == said["pid"]
    assert [worker["run_id"] for worker in status["workers"]] == [None, None]
    worker_session = service.leaders()["worker"].members()
    assert {worker["pid"] for worker in status["workers"]} < set(worker_session)
    assert "store answers after" in (service.home / "up.err").read_text()
    table = process("status", "--home", service.home)
    assert table.code == 0
    assert said["url"] in table.out


def test_a_second_supervisor_on_the_home_is_refused(service: Service) -> None:
    second = process("up", "--home", service.home, "--port", "0")
    assert service.supervisor is not None
    assert second.code == 1
    url = service.status()["url"]
    assert f"runs on {service.home} already: {url}, process {service.supervisor.pid}" in second.err


def test_each_killed_process_is_back_and_the_web_server_finds_what_it_talks_to(service: Service) -> None:
    before = service.leaders()
    killed = [name for name in before if name != "web"]
    for name in killed:
        os.kill(before[name].pid, signal.SIGKILL)
    assert wait_until(lambda: not any(before[name].members() for name in killed), lambda: 5)
    assert wait_until(service.is_up, lambda: READY_S)
    assert [found["restarts"] for found in service.status()["processes"]] == [0, 1, 1, 0, 1, 1, 1]
    dagster = WebServer(service.status()["url"], 20)
    run = dagster.wait(dagster.launch("panels_job", "NIFTY", {}), 60)
    assert run.failure is not None
    assert "nothing was ingested" in run.failure.message


def test_a_killed_web_server_is_back_at_its_place(service: Service) -> None:
    before = service.leaders()
    os.kill(before["web"].pid, signal.SIGKILL)
    assert wait_until(lambda: not before["web"].members(), lambda: 5)
    assert wait_until(service.is_up, lambda: READY_S)
    status = service.status()
    assert [found["restarts"] for found in status["processes"]] == [0, 1, 1, 1, 1, 1, 1]
    assert WebServer(status["url"], 5).is_ready()


def test_what_a_killed_supervisor_left_is_stopped_by_the_next_one(service: Service) -> None:
    assert service.supervisor is not None
    left = service.leaders()
    service.supervisor.kill()
    service.supervisor.communicate(timeout=10)
    assert process("status", "--home", service.home).code == 1
    assert all(leader.is_alive() for leader in left.values())
    token = Tokens(service.home).add("owner", Scope.ADMIN)
    said = service.up()
    assert not any(leader.members() for leader in left.values())
    assert signs_in(said["sign_in_url"])
    assert not signs_in(said["sign_in_url"])
    shown = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    reply = httpx.post(f"{said['url']}/graphql", content=documents.body(documents.LOCATIONS), headers=shown)
    assert replies.locations_are_loaded(replies.data(reply.content))
    errors = (service.home / "up.err").read_text()
    assert f"an earlier supervisor was killed; the {len(left)} processes that it left were stopped" in errors
    assert errors.count("store answers after") == 1  # what the first start made is remembered


def signs_in(link: str) -> bool:
    answer = httpx.get(link)
    return (answer.status_code, "set-cookie" in answer.headers) == (303, True)


def test_down_stops_everything(service: Service) -> None:
    assert service.supervisor is not None
    left = service.leaders()
    state = read_state(service.home)
    assert state is not None
    start = time.monotonic()
    down = process("down", "--home", service.home)
    assert (down.code, down.out) == (0, f"stopped what ran on {service.home}\n")
    assert time.monotonic() - start < 30
    assert service.supervisor.wait(5) == 0
    assert not any(leader.members() for leader in left.values())
    assert processes_naming(service.home) == []
    assert not Path(state.sockets).exists()


def test_a_signal_while_everything_starts_stops_everything(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "backtest_pipelines", "up", "--home", str(tmp_path), "--port", "0"]
    with subprocess.Popen(
        command, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as child:
        assert wait_until((tmp_path / "logs" / "code.log").exists, lambda: 20)
        child.send_signal(signal.SIGTERM)
        output, _ = child.communicate(timeout=30)
    assert child.returncode == 0, output
    assert output.endswith("stopped\n")
    assert processes_naming(tmp_path) == []


def test_a_redis_that_may_evict_the_queue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "redis.sock"
    part = redis_part(tmp_path / "redis", path)
    command = [str(word).replace("volatile-lru", "allkeys-lru") for word in part.command]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            assert part.is_ready is not None
            assert wait_until(lambda: bool(part.is_ready and part.is_ready(server.pid)), lambda: 10)
            refused = up_with_redis(tmp_path / "home", f"unix://{path}")
        finally:
            server.terminate()
    assert refused.code == 2
    assert "maxmemory-policy of Redis: got 'allkeys-lru'" in refused.err
    assert processes_naming(tmp_path / "home") == []


def test_a_redis_that_does_not_answer_is_told(tmp_path: Path) -> None:
    refused = up_with_redis(tmp_path, f"unix://{tmp_path / 'nowhere.sock'}")
    assert refused.code == 1
    assert "Redis, named by REDIS_URL or REDIS_HOST, does not tell its maxmemory_policy" in refused.err


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    refused = process("up", "--home", tmp_path, "--port", "65536")
    assert (refused.code, "--port: got 65536" in refused.err) == (2, True)


def up_with_redis(home: Path, url: str) -> Finished:
    return process("up", "--home", home, "--port", "0", environment={"REDIS_URL": url})


def test_the_supervisor_knows_no_dagster() -> None:
    code = (
        "import sys\n"
        "import backtest_pipelines.service.supervisor.installation, backtest_pipelines.service.supervisor.status\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('dagster', 'celery', 'pyarrow', 'pandas')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
