"""What stands beside the callers of the API: records, a bare server, Dagster's UI, runs, a Redis that is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import Execution, ExecutionRecords
from backtest_pipelines.service.supervisor.state import read_state
from backtest_pipelines_tests.browser import HAS_BROWSER, browsing
from backtest_pipelines_tests.ports import free_port

START_S = 20.0
POLL_S = 0.05
AT_ONCE = 10_000
FAILED_EACH = 100
ENDED = ("completed", "failed")


def fill(home: Path, variant: str, count: int) -> None:
    """Put executions on record, the last one now; each hundredth has failed."""
    begin = datetime.now(UTC) - timedelta(seconds=count)
    with Database(home / "executions.sqlite") as database:
        records = ExecutionRecords(database)
        for first in range(0, count, AT_ONCE):
            numbers = range(first, min(first + AT_ONCE, count))
            records.insert_all([_row(variant, number, begin + timedelta(seconds=number)) for number in numbers])


def _row(variant: str, number: int, started_at: datetime) -> Execution:
    failed = number % FAILED_EACH == 0
    return Execution(
        variant=variant,
        parameters="{}",
        symbol="NIFTY",
        door="rest",
        started_at=started_at,
        duration_ms=0.2 + number % 997 / 10,
        outcome="failed" if failed else "completed",
        error_type="MissingDataError" if failed else None,
        error_message="not ingested" if failed else None,
    )


@contextmanager
def bare_server(size: int) -> Iterator[str]:
    """Run a server that does nothing but answer with so many bytes."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "backtest_pipelines_tests.benchmarks.bare_server", str(port), str(size)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + START_S
        while not _answers(url):
            assert time.monotonic() < deadline, "the bare server does not start"
            time.sleep(POLL_S)
        yield url
    finally:
        process.terminate()
        process.wait(START_S)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


@contextmanager
def ui_open(url: str) -> Iterator[None]:
    """Keep a page of Dagster's UI open in a headless browser."""
    if not HAS_BROWSER:
        sys.exit("chromium and chromedriver are needed: the load is measured beside Dagster's UI")
    with browsing() as browser:
        browser.get(url)
        time.sleep(START_S / 4)  # until it has loaded and only asks for news
        yield


@contextmanager
def runs_starting(url: str, submit: Callable[[httpx.Client, int], str]) -> Iterator[None]:
    """Submit jobs, each as soon as the one before has ended."""
    over = threading.Event()

    def run() -> None:
        number = 0
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            while not over.is_set():
                number += 1
                path = f"/api/v1/jobs/{submit(client, number)}?result=false"
                while not over.is_set() and client.get(path).json()["status"] not in ENDED:
                    time.sleep(POLL_S)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def redis_paused(home: Path) -> Iterator[None]:
    """Stop the service's Redis, so that it takes connections and answers nothing."""
    state = read_state(home)
    assert state is not None
    (pid,) = [process.leader.pid for process in state.processes if process.name == "redis" and process.leader]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
