"""Metrics beside an independent count: every door, failures, cancels, killed workers and servers, two servers."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from threading import Lock
from typing import Any, TypeVar

import httpx
import pytest

from backtest_pipelines.errors import MissingDataError
from backtest_pipelines.executions.execute import execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.graphql import documents
from backtest_pipelines_tests.api.processes import api
from backtest_pipelines_tests.cli.conftest import clean_environment
from backtest_pipelines_tests.integration.dagster_servers import RUN_S, WEEKLY, Installation, installation
from backtest_pipelines_tests.integration.rest_session import RestSession

__all__ = ["installation"]

T1 = "call_sell_future_buy_t1"
NO_DATA = "2031-01-01"
SETTLED_S = 40.0

_T = TypeVar("_T")


@dataclass
class Count:
    """What callers saw, counted by variant and outcome."""

    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)

    def add(self, variant: str, *, cached: bool | None) -> None:
        """Count an answer, found or computed, or a failure (None)."""
        with self.lock:
            self.seen[variant, {True: "found", False: "computed", None: "failed"}[cached]] += 1


def test_metrics_equal_an_independent_count(installation: Installation) -> None:
    with (
        api(installation.home, installation.dagster.url, log="second.log") as second,
        session_with(installation.url) as first_door,
        session_with(second.url) as second_door,
        ThreadPoolExecutor(6) as pool,
    ):
        before = counted(first_door)
        assert counted(second_door) == before
        count = Count()
        work = [
            pool.submit(asked_at_once, second_door, count),
            pool.submit(asked_by_jobs, first_door, count),
            pool.submit(asked_in_dagster, installation, second_door, count),
            pool.submit(asked_by_commands, installation, count),
            pool.submit(asked_in_python, installation, count),
        ]
        for name in ("worker", "api", "worker"):
            time.sleep(1.5)
            installation.kill(name)
        for each in work:
            each.result(RUN_S)
        expected = before + count.seen
        deadline = time.monotonic() + SETTLED_S
        while not (counted(first_door) == counted(second_door) == expected):
            assert time.monotonic() < deadline, (counted(first_door) - expected, expected - counted(first_door))
            time.sleep(0.3)
        time.sleep(4)  # nothing is counted twice a little later
        assert counted(first_door) == counted(second_door) == expected
        assert {outcome for _, outcome in count.seen} == {"found", "computed", "failed"}


@contextmanager
def session_with(url: str) -> Iterator[RestSession]:
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        yield RestSession(http)


def counted(session: RestSession) -> Counter[tuple[str, str]]:
    """Return what a server's metrics count, by variant and outcome."""
    found: Counter[tuple[str, str]] = Counter()
    for variant, metrics in session.get("metrics")["by_strategy"].items():
        total = metrics["total_executions"]
        completed = round(total * metrics["success_rate"] / 100)
        hits = round(completed * metrics["cache_hit_rate"] / 100)
        found += Counter(
            {(variant, "found"): hits, (variant, "computed"): completed - hits, (variant, "failed"): total - completed}
        )
    return found


def asked_at_once(session: RestSession, count: Count) -> None:
    for number in range(40):
        variant = (WEEKLY, T1)[number % 2]
        fields: dict[str, Any] = {"strategy_name": variant, "parameters": {"call_sell_position": number % 5}}
        if number % 8 == 7:
            answer = session.http.post("/api/v1/execute", json={**fields, "from_date": NO_DATA})
            assert answer.status_code == 404, answer.text
            count.add(variant, cached=None)
        else:
            key = f"doors-{number}" if number % 3 == 0 else None
            count.add(variant, cached=session.execute(key, **fields)["cached"])
            if key:
                session.execute(key, **fields)  # the same job: not counted again
        time.sleep(0.05)


def asked_by_jobs(session: RestSession, count: Count) -> None:
    jobs: list[tuple[str, str]] = []
    for number in range(12):
        variant = (WEEKLY, T1)[number % 2]
        fields: dict[str, Any] = {"strategy_name": variant, "parameters": {"call_sell_position": 10 + number % 4}}
        if number % 4 == 3:
            fields["from_date"] = NO_DATA
        key = f"job-of-doors-{number}"
        accepted = patiently(partial(session.execute, key, **fields, async_execution=True))
        jobs.append((variant, accepted["job_id"]))
        if number % 5 == 4:
            patiently(partial(session.http.delete, f"/api/v1/jobs/{accepted['job_id']}"))
        time.sleep(0.3)
    for variant, job_id in jobs:
        job = patiently(partial(session.ended, job_id))
        done = job["status"] == "completed"
        on_record = patiently(partial(session.recorded, job["execution_id"]))
        count.add(variant, cached=on_record["cached"] if done else None)


def asked_in_dagster(installation: Installation, session: RestSession, count: Count) -> None:
    runs: list[str] = []
    for number in range(6):
        config: dict[str, object] = {"call_sell_position": float(20 + number % 2)}
        if number % 3 == 2:
            config["from_date"] = NO_DATA
        runs.append(installation.dagster.launch(f"{WEEKLY}_job", "NIFTY", {"ops": {WEEKLY: {"config": config}}}))
        if number == 4:
            installation.dagster.ask(documents.TERMINATE, run=runs[-1], policy="SAFE_TERMINATE")
        time.sleep(0.4)
    for run_id in runs:
        for attempt in all_attempts(installation, run_id):
            ended = installation.dagster.wait(attempt, RUN_S)
            is_done = ended.status == "SUCCESS"
            count.add(WEEKLY, cached=bool(ended.metadata["cached"]) if is_done else given(session, attempt))


def given(session: RestSession, run_id: str) -> bool | None:
    """Return whether a run that did not succeed gave its answer, found or computed, before it died; None if it did not.

    Dagster alone cannot tell: its worker may be killed between the execution's end and the run's.
    """
    listed = patiently(lambda: session.get("executions", limit=1000, status="completed"))
    return next((bool(execution["cached"]) for execution in listed if execution["run_id"] == run_id), None)


def all_attempts(installation: Installation, run_id: str) -> list[str]:
    """Return a run and its retries, each of which is an execution of its own."""
    attempts = [run_id]
    while True:
        state = installation.dagster.wait(attempts[-1], RUN_S)
        if state.status != "FAILURE":
            return attempts
        retry = retry_of(installation, attempts[-1])
        if retry is None:
            return attempts
        attempts.append(retry)


RETRIES = """
query Retries($run: ID!) {
  runOrError(runId: $run) { ... on Run { tags { key value } } }
}
"""


def retry_of(installation: Installation, run_id: str) -> str | None:
    deadline = time.monotonic() + 20
    while True:
        found = installation.dagster.ask(RETRIES, run=run_id)["runOrError"]["tags"]
        tags = {tag["key"]: tag["value"] for tag in found}
        if tags.get("dagster/will_retry") != "true":
            return None
        if retry := tags.get("dagster/auto_retry_run_id"):
            return str(retry)
        assert time.monotonic() < deadline, f"run {run_id} was to be tried again"
        time.sleep(0.2)


def asked_by_commands(installation: Installation, count: Count) -> None:
    environ = clean_environment() | {"BACKTEST_HOME": str(installation.home), "REDIS_PORT": "1"}
    for extra in ([], [], ["--from-date", NO_DATA]):
        command = [sys.executable, "-m", "backtest_pipelines", "run", T1, "--set", "call_sell_position=30", "--json"]
        done = subprocess.run([*command, *extra], env=environ, capture_output=True, text=True, timeout=60, check=False)
        cached = None if extra else '"cached": true' in done.stdout
        assert done.returncode == (3 if extra else 0), done.stderr
        count.add(T1, cached=cached)


def asked_in_python(installation: Installation, count: Count) -> None:
    with Workspace(Settings(installation.home, installation.home / "inbox", redis=None)) as workspace:
        for number in range(10):
            request = ExecutionRequest(WEEKLY, parameters={"call_sell_position": 40 + number % 3})
            count.add(WEEKLY, cached=execute(request, workspace).cached)
        with pytest.raises(MissingDataError):
            execute(ExecutionRequest(WEEKLY, from_date=NO_DATA), workspace)
        count.add(WEEKLY, cached=None)


def patiently(ask: Callable[[], _T]) -> _T:
    """Ask again while the server is being started anew."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return ask()
        except (httpx.TransportError, AssertionError):
            assert time.monotonic() < deadline
            time.sleep(0.2)
