"""What callers do with a running service: with the client, its commands, a session over HTTP, and by the pages."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from backtest_pipelines.client import Client, JobFailedError
from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.executions.execute import execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.graphql.names import JOB_ID_TAG
from backtest_pipelines_tests.cli.conftest import clean_environment
from backtest_pipelines_tests.client.stand_in import seconds
from backtest_pipelines_tests.docs.test_code_blocks import WITH_SERVICE, run_blocks
from backtest_pipelines_tests.integration.dagster_servers import RUN_S, WEEKLY, Installation, installation
from backtest_pipelines_tests.integration.rest_session import RestSession

__all__ = ["installation"]

T2 = "call_sell_future_buy_t2"
RUNS = "query { runsOrError { ... on Runs { results { runId tags { key value } } } } }"


@pytest.fixture
def client(installation: Installation) -> Iterator[Client]:
    with Client(installation.url) as opened:
        yield opened


@pytest.fixture
def session(installation: Installation) -> Iterator[RestSession]:
    with httpx.Client(base_url=installation.url, timeout=60, trust_env=False) as http:
        yield RestSession(http)


def test_200_submissions_of_20_request_ids_from_8_threads_are_20_runs(
    installation: Installation, client: Client
) -> None:
    def submit(number: int) -> str:
        position = (number % 20) / 4
        return client.submit(
            WEEKLY, parameters={"call_sell_position": position}, request_id=f"storm-{number % 20}"
        ).job_id

    with ThreadPoolExecutor(8) as pool:
        job_ids = list(pool.map(submit, range(200)))
    assert len(set(job_ids)) == 20
    ended = [client.job(job_id).wait(RUN_S) for job_id in dict.fromkeys(job_ids)]
    assert [status.state for status in ended] == ["completed"] * 20
    assert len({status.fingerprint for status in ended}) == 20
    runs = installation.dagster.ask(RUNS)["runsOrError"]["results"]
    launched = [tag["value"] for run in runs for tag in run["tags"] if tag["key"] == JOB_ID_TAG]
    assert sorted(launched) == sorted(set(job_ids))


def test_the_result_is_the_answer_that_the_library_gives(installation: Installation, client: Client) -> None:
    job = client.submit(WEEKLY, "BANKNIFTY", {"spot_adjustment_type": 3, "spot_adjustment": "0.5"}, costs=True)
    status = job.wait(RUN_S)
    request = ExecutionRequest(
        WEEKLY, "BANKNIFTY", {"spot_adjustment_type": 3, "spot_adjustment": "0.5"}, costs=True, use_cache=False
    )
    with Workspace(Settings(installation.home, installation.home / "inbox", redis=None)) as workspace:
        executed = execute(request, workspace)
    result = job.result()
    assert result.fingerprint == executed.fingerprint == status.fingerprint
    assert result.trades.equals(executed.answer.trades)
    assert result.statistics == executed.answer.statistics
    assert status.row_count == result.row_count > 0


def test_a_finished_job_gives_its_result_within_30_ms(client: Client) -> None:
    submitted = client.submit(WEEKLY)
    submitted.wait(RUN_S)
    job = client.job(submitted.job_id)
    assert any(seconds(job.result) < 0.03 for _ in range(20))


def test_what_the_service_refuses_names_field_value_and_limit(client: Client) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.submit(WEEKLY, parameters={"call_sell_position": 51})
    error = refused.value
    assert (error.field, error.value) == ("call_sell_position", 51)
    assert error.limit == "allowed: -50 to 50 percent, at most 4 decimal places"


def test_a_job_that_fails_says_why_and_its_log_shows_the_step(client: Client) -> None:
    job = client.submit(WEEKLY, from_date="2030-01-01")
    assert job.wait(RUN_S).state == "failed"
    with pytest.raises(JobFailedError) as failed:
        job.result()
    assert failed.value.error_type == "MissingDataError"
    log = job.logs()
    assert log.run_id == job.status().run_id
    assert {line.step for line in log.lines if line.level == "ERROR"} == {WEEKLY, None}
    # The daemon may add a line at any time.
    later, whole = job.logs(after=log), job.logs()
    together = log.lines + later.lines
    assert whole.lines[: len(together)] == together
    assert len(later.lines) <= 1


def test_a_whole_session_over_http(session: RestSession) -> None:
    question: dict[str, Any] = {"strategy_name": T2, "parameters": {"call_sell_position": 3.5, "symbol": "NIFTY"}}
    assert session.http.get("/health").json() == {"status": "ok"}
    assert {WEEKLY, T2} <= {strategy["name"] for strategy in session.get("strategies")}
    session.settle()
    session.invalidate()
    before = session.get("metrics")["overall"]

    computed, found = session.execute(**question), session.execute(**question)
    assert [each["status"] for each in (computed, found)] == ["completed", "completed"]
    assert [each["cached"] for each in (computed, found)] == [False, True]
    assert computed["result"] == found["result"]
    assert computed["row_count"] == len(computed["result"]["data"]) > 0
    ratio = computed["duration_ms"] / found["duration_ms"]
    print(f"computed in {computed['duration_ms']:.1f} ms, found in {found['duration_ms']:.1f} ms: 1/{ratio:.1f}")  # noqa: T201 - to be read

    accepted = session.execute(**question, from_date="2024-05-02", async_execution=True)
    assert (accepted["status"], accepted["strategy_name"]) == ("pending", T2)
    job = session.ended(accepted["job_id"])
    assert (job["status"], job["state"], job["progress"], job["error"]) == ("completed", "completed", 1, None)
    assert (job["result"]["status"], job["result"]["strategy"]) == ("SUCCESS", T2)
    answer = job["result"]["result"]
    assert answer["row_count"] == len(answer["data"]) > 0
    assert answer["metadata"]["provenance"]["fingerprint"] == job["fingerprint"]
    print(f"job {job['job_id']}: {job['status']}, {answer['execution_time_ms']:.1f} ms, {answer['row_count']} trades")  # noqa: T201

    after = session.get("metrics")
    counted = ("total_executions", "cache_hits", "cache_misses")
    assert [after["overall"][name] - before[name] for name in counted] == [3, 1, 2]  # the engine was called twice
    assert after["by_strategy"][T2]["last_executed_at"] > computed["started_at"]
    assert session.get(f"metrics/{T2}")["metrics"]["total_executions"] >= 3

    stats = session.get("cache/stats")
    assert (stats["total_cached_entries"], stats["by_strategy"][T2]["cached_entries"]) == (2, 2)
    assert stats["total_cache_hits"] == after["overall"]["cache_hits"]
    assert session.get("cache/health")["status"] == "healthy"
    assert session.invalidate(strategy_name=T2) == {"status": "success", "deleted_entries": 2, "strategy": T2}
    again = session.execute(**question)
    assert (again["cached"], again["result"]) == (False, computed["result"])

    listed = session.get("executions", strategy_name=T2, limit=4)
    wanted = (again, accepted, found, computed)
    assert [each["execution_id"] for each in listed] == [each["execution_id"] for each in wanted]
    assert [each["tier"] for each in listed] == [None, None, "redis", None]
    assert [each["door"] for each in listed] == ["rest"] * 4
    assert [each["job_id"] for each in listed] == [None, accepted["job_id"], None, None]
    trades = session.http.get(f"/api/v1/executions/{computed['execution_id']}/trades.csv")
    assert len(trades.text.splitlines()) == 1 + computed["row_count"]


def test_one_key_sent_twice_at_once_is_one_job_with_one_run(session: RestSession, installation: Installation) -> None:
    question: dict[str, Any] = {"strategy_name": T2, "parameters": {"call_sell_position": 4.5}, "async_execution": True}
    with ThreadPoolExecutor(2) as pool:
        accepted = list(pool.map(lambda _: session.execute("at-once", **question), range(2)))
    assert accepted[0]["job_id"] == accepted[1]["job_id"]
    assert accepted[0]["execution_id"] == accepted[1]["execution_id"]
    assert session.ended(accepted[0]["job_id"])["status"] == "completed"
    assert session.execute("at-once", **question)["status"] == "completed"
    runs = installation.dagster.ask(RUNS)["runsOrError"]["results"]
    tags = [(tag["key"], tag["value"]) for run in runs for tag in run["tags"]]
    assert tags.count((JOB_ID_TAG, accepted[0]["job_id"])) == 1


def test_a_job_that_is_cancelled_has_failed_as_cancelled(session: RestSession) -> None:
    question: dict[str, Any] = {"strategy_name": T2, "use_cache": False, "async_execution": True}
    # More than the workers take at once, so that the last one still waits.
    accepted = [session.execute(**question) for _ in range(8)]
    last = accepted[-1]["job_id"]
    session.cancel(last)
    job = session.ended(last)
    assert (job["status"], job["state"], job["error"]["type"]) == ("failed", "cancelled", "cancelled")
    assert "result" not in job
    on_record = session.recorded(job["execution_id"])
    assert (on_record["job_id"], on_record["status"], on_record["error"]) == (last, "failed", job["error"])
    assert {session.ended(each["job_id"])["status"] for each in accepted[:-1]} == {"completed"}


@pytest.mark.parametrize("page", WITH_SERVICE, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_against_the_service(page: Path, installation: Installation, tmp_path: Path) -> None:
    environment = clean_environment() | {
        "BACKTEST_API_URL": installation.url,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    run_blocks(page, tmp_path, environment)
