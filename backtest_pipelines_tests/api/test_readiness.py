"""What is said to be up while parts of an installation come and go, with a real web server, Redis and Postgres."""

import time
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Workers
from backtest_pipelines_tests.api.dagster_web import installation
from backtest_pipelines_tests.api.processes import api
from backtest_pipelines_tests.ports import free_port
from backtest_pipelines_tests.postgres import PostgresServer

WAIT_S = 30.0
ALL_UP = dict.fromkeys(("database", "redis", "dagster", "workers", "projection"), "up")


def wait_for(client: httpx.Client, code: int, status: str, parts: dict[str, str]) -> None:
    """Ask until the answer is the expected one."""
    expected = {"status": status, "parts": parts}
    deadline = time.monotonic() + WAIT_S
    while True:
        answer = client.get("/ready")
        if (answer.status_code, answer.json()) == (code, expected):
            return
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)


def told(client: httpx.Client) -> tuple[float, bool]:
    """Return whether Prometheus is told that the database is up, and whether of what is in it."""
    found = {family.name: family.samples for family in text_string_to_metric_families(client.get("/metrics").text)}
    (database,) = (each.value for each in found["backtest_part_up"] if each.labels["part"] == "database")
    return database, "backtest_jobs_open" in found


def test_what_is_up_is_told_part_by_part(tmp_path: Path) -> None:
    with installation(tmp_path / "home", free_port()) as running:
        without = {**ALL_UP, "dagster": "down", "workers": "down", "projection": "down"}
        wait_for(running.client, 200, "degraded", without)
        with running.web_server(), Database(running.api.home / "executions.sqlite") as database:
            Workers(database).show("w", "here", 1, None)
            wait_for(running.client, 200, "ready", ALL_UP)
            Workers(database).leave("w")
            wait_for(running.client, 200, "degraded", {**ALL_UP, "workers": "down"})


def test_without_its_database_it_is_not_ready_until_that_is_back(tmp_path: Path) -> None:
    alone = dict.fromkeys(ALL_UP, "down")
    with PostgresServer(tmp_path / "postgres") as postgres:
        environ = {"BACKTEST_POSTGRES_URL": postgres.new_database()}
        with (
            api(tmp_path, f"http://127.0.0.1:{free_port()}", environ=environ) as running,
            httpx.Client(base_url=running.url, timeout=20) as client,
        ):
            wait_for(client, 200, "degraded", {**alone, "database": "up"})
            assert told(client) == (1, True)
            postgres.stop()
            wait_for(client, 503, "unavailable", alone)
            assert client.get("/health").status_code == 200
            assert told(client) == (0, False)
            postgres.start()
            wait_for(client, 200, "degraded", {**alone, "database": "up"})
            deadline = time.monotonic() + WAIT_S
            while told(client) != (1, True):
                assert time.monotonic() < deadline
                time.sleep(0.5)
