"""The logs of a real service in JSON: every line parses, those of a run carry its ids, and none holds a secret."""

from __future__ import annotations

import json
import socket
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from backtest_pipelines.client import Client
from backtest_pipelines.graphql.names import PARTITION_TAG
from backtest_pipelines.market.sample import write_sample_market
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import ExecutionRecords
from backtest_pipelines_tests.service.dagster import until
from backtest_pipelines_tests.service.running import running_service

NIFTY = {PARTITION_TAG: "NIFTY"}
SECRET = "canary-6f1d"  # noqa: S105 - one that must not be seen again
WORD = "canary-77b0"
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
        single, several = (service.web.launch(name, {}, NIFTY) for name in (f"{WEEKLY}_job", "evening_job"))
        assert [service.web.wait(run_id, 60) for run_id in (single, several)] == ["SUCCESS"] * 2
        with Database(service.home / "executions.sqlite") as database:
            executions = {run_id: ExecutionRecords(database).of_run(run_id) for run_id in (single, several)}
        pruning = service.web.launch("retention_job", {"ops": {"prune": {"config": {"most_runs": 1}}}})
        assert service.web.wait(pruning, 60) == "SUCCESS"
        failed = service.web.launch_slow(fault="bug", says=WORD)
        service.web.wait(failed, 30)
        httpx.get(f"{service.url}/api/v1/jobs?token={SECRET}", headers={"Authorization": f"Bearer {SECRET}"})
        say_no_http(service.url)
        until(lambda: any("Invalid HTTP" in line["message"] for line in log(service.home, "api")), 10, "a line")
    worker, api = log(service.home, "worker"), log(service.home, "api")
    assert {frozenset(line) for line in (*worker, *api)} == {frozenset(FIELDS)}
    assert ({line["process"] for line in worker}, {line["process"] for line in api}) == ({"worker"}, {"api"})

    of_run = [line for line in worker if line["run_id"] == done.run_id]
    assert {(line["job_id"], line["execution_id"]) for line in of_run} == {(job.job_id, done.execution_id)}
    words = ("RUN_START", f"{WEEKLY} on NIFTY by rest completed in", "RUN_SUCCESS")
    assert all(any(word in line["message"] for line in of_run) for word in words)
    assert all(done.run_id not in line["message"] for line in worker if line["run_id"] != done.run_id)

    for run_id, rows in executions.items():
        of_run = [line for line in worker if line["run_id"] == run_id]
        assert {line["job_id"] for line in of_run} == {None}
        for row in rows:
            said = [line["message"] for line in of_run if line["execution_id"] == row.id]
            assert all(f"{row.variant} " in message for message in said)
            for word in ("by dagster completed", "ASSET_MATERIALIZATION ", "HANDLED_OUTPUT "):
                assert any(word in message for message in said), (word, said)
        ids = {line["execution_id"] for line in of_run}
        assert ids == {None, *(row.id for row in rows)}
    assert [len(rows) for rows in executions.values()] == [1, 3]

    of_dagster = [line for name in ("code", "daemon") for line in lines_of_dagster(service.home, name)]
    assert of_dagster
    assert not any("execution_id" in line for line in of_dagster)
    no_run = [line for line in worker if line["run_id"] is None]
    assert no_run
    assert {(line["execution_id"], line["job_id"]) for line in no_run} == {(None, None)}

    assert any("runs: 0 pruned" in line["message"] for line in worker if line["run_id"] == pruning)
    of_failed = [line for line in worker if line["run_id"] == failed]
    assert any("ZeroDivisionError" in f"{line['message']}{line['exception']}" for line in of_failed)
    # What the code of a step writes by itself is captured for Dagster's UI, and is no line of ours.
    assert [line["message"].endswith(f"log: {WORD}") for line in of_failed if WORD in line["message"]] == [True]
    captured = {path.suffix: path.read_text() for path in (service.home / "dagster" / "storage" / failed).rglob("*.*")}
    assert (captured[".out"], captured[".err"]) == (f"stdout: {WORD}\n", f"stderr: {WORD}\n")
    logs = [path.read_text(errors="replace") for path in (service.home / "logs").iterdir()]
    assert logs
    assert not any(SECRET in text for text in logs)


def log(home: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "logs" / f"{name}.log").read_text().splitlines()]


def lines_of_dagster(home: Path, name: str) -> list[dict[str, Any]]:
    """Return the lines of a process of Dagster's that are JSON: others may be between them."""
    found = []
    for line in (home / "logs" / f"{name}.log").read_text().splitlines():
        with suppress(ValueError):
            found.append(json.loads(line))
    return found


def say_no_http(url: str) -> None:
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=5) as connection:
        connection.sendall(f"{SECRET}\r\n\r\n".encode())
        connection.recv(1000)
