"""The logs of a real service in JSON: every line parses, those of a run carry its ids, and none holds a secret."""

from __future__ import annotations

import json
import socket
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from backtest_pipelines.client import Client
from backtest_pipelines.market.sample import write_sample_market
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines_tests.service.dagster import until
from backtest_pipelines_tests.service.running import running_service

SECRET = "canary-6f1d"  # noqa: S105 - one that must not be seen again
WEEKLY = "call_sell_future_buy_weekly"
FIELDS = {
    *("at", "level", "logger", "message", "process", "pid"),
    *("run_id", "execution_id", "job_id", "exception"),
}


def test_every_line_is_json_with_the_ids_of_its_run_and_no_secret(tmp_path: Path) -> None:
    write_sample_market(tmp_path / "files", first=date(2024, 6, 3), last=date(2024, 6, 28))
    ingest(exchange_files(tmp_path / "files"), PanelStore(tmp_path / "home" / "panel"))
    variables = {"BACKTEST_LOG_FORMAT": "json", "BACKTEST_LOG_LEVEL": "debug"}
    with running_service(tmp_path / "home", variables) as service:
        with Client(service.url) as client:
            job = client.submit(WEEKLY)
            done = job.wait(60)
        pruning = service.web.launch("retention_job", {"ops": {"prune": {"config": {"most_runs": 1}}}})
        assert service.web.wait(pruning, 60) == "SUCCESS"
        failed = service.web.launch_slow(fault="bug")
        service.web.wait(failed, 30)
        httpx.get(f"{service.url}/api/v1/jobs?token={SECRET}", headers={"Authorization": f"Bearer {SECRET}"})
        say_no_http(service.url)
        until(lambda: any("Invalid HTTP" in line["message"] for line in log(service.home, "api")), 10, "a line")
    worker, api = log(service.home, "worker"), log(service.home, "api")
    assert {frozenset(line) for line in (*worker, *api)} == {frozenset(FIELDS)}
    assert ({line["process"] for line in worker}, {line["process"] for line in api}) == ({"worker"}, {"api"})

    of_run = [line for line in worker if line["run_id"] == done.run_id]
    assert {line["job_id"] for line in of_run} == {job.job_id}
    (executed,) = [line for line in of_run if line["execution_id"] is not None]
    assert executed["execution_id"] == done.execution_id
    assert f"{WEEKLY} on NIFTY by rest completed in" in executed["message"]
    assert any("RUN_SUCCESS" in line["message"] for line in of_run)
    assert all(done.run_id not in line["message"] for line in worker if line["run_id"] != done.run_id)

    assert any("runs: 0 pruned" in line["message"] for line in worker if line["run_id"] == pruning)
    of_failed = [line for line in worker if line["run_id"] == failed]
    assert any("ZeroDivisionError" in f"{line['message']}{line['exception']}" for line in of_failed)
    logs = [path.read_text(errors="replace") for path in (service.home / "logs").iterdir()]
    assert logs
    assert not any(SECRET in text for text in logs)


def log(home: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "logs" / f"{name}.log").read_text().splitlines()]


def say_no_http(url: str) -> None:
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5) as connection:
        connection.sendall(f"{SECRET}\r\n\r\n".encode())
        connection.recv(1000)
