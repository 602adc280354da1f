"""Answers by their fingerprint, and the door's small services, without Dagster."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backtest_pipelines.executions.execute import execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.results.files import AnswerFiles
from backtest_pipelines_tests.api.processes import Api, api
from backtest_pipelines_tests.integration.dagster_servers import write_small_market
from backtest_pipelines_tests.ports import free_port


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API with nothing behind it."""
    with api(tmp_path_factory.mktemp("home"), f"http://127.0.0.1:{free_port()}") as running:
        yield running


def kept_answer(home: Path) -> tuple[str, bytes]:
    write_small_market(home / "market")
    with Workspace(settings_from({"REDIS_PORT": "1"}, home=home)) as workspace:
        ingest(exchange_files(home / "market"), workspace.panels)
        executed = execute(ExecutionRequest("call_sell_future_buy_weekly"), workspace)
    return executed.fingerprint, executed.encoded


def test_the_stored_bytes_come_as_they_are_and_a_damaged_file_is_none(alone: Api) -> None:
    fingerprint, encoded = kept_answer(alone.home)
    answer = httpx.get(f"{alone.url}/api/v1/results/{fingerprint}")
    assert (answer.status_code, answer.content) == (200, encoded)
    assert answer.headers["content-type"] == "application/vnd.backtest.answer"
    assert answer.headers["etag"] == f'"{fingerprint}"'
    assert "immutable" in answer.headers["cache-control"]
    path = AnswerFiles(alone.home / "answers").path(fingerprint)
    path.write_bytes(encoded[:-1] + b"x")
    assert httpx.get(f"{alone.url}/api/v1/results/{fingerprint}").status_code == 404
    assert "damaged answer file" in (alone.home / "api.log").read_text()


def test_what_is_not_kept_is_not_found_and_what_is_no_fingerprint_is_refused(alone: Api) -> None:
    absent = httpx.get(f"{alone.url}/api/v1/results/{'0' * 64}")
    assert (absent.status_code, absent.headers["content-type"]) == (404, "application/problem+json")
    for wrong in ("0" * 63, "A" * 64, "%2e%2e"):
        refused = httpx.get(f"{alone.url}/api/v1/results/{wrong}")
        assert (refused.status_code, refused.json()["field"]) == (422, "fingerprint")


def test_it_is_healthy_and_describes_itself_without_a_web_server(alone: Api) -> None:
    assert httpx.get(f"{alone.url}/health").json() == {"status": "ok"}
    described = httpx.get(f"{alone.url}/api/v1/openapi.json").json()
    assert {path.split("/")[3] for path in described["paths"] if path.startswith("/api/")} == {
        "cache",
        "execute",
        "executions",
        "jobs",
        "metrics",
        "results",
        "strategies",
    }


def test_a_caller_that_hangs_up_in_the_middle_of_a_body_is_no_bug(alone: Api) -> None:
    with socket.create_connection(("127.0.0.1", alone.port)) as caller:
        head = "POST /api/v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        caller.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        time.sleep(0.2)
    time.sleep(0.2)
    assert httpx.get(f"{alone.url}/health").status_code == 200
    assert "Traceback" not in (alone.home / "api.log").read_text()
