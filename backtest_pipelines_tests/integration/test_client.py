"""The client, its commands and their pages against a running service."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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

__all__ = ["installation"]

RUNS = "query { runsOrError { ... on Runs { results { runId tags { key value } } } } }"


@pytest.fixture
def client(installation: Installation) -> Iterator[Client]:
    with Client(installation.url) as opened:
        yield opened


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
    assert job.logs(after=log).lines == ()


@pytest.mark.parametrize("page", WITH_SERVICE, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_against_the_service(page: Path, installation: Installation, tmp_path: Path) -> None:
    environment = clean_environment() | {
        "BACKTEST_API_URL": installation.url,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    run_blocks(page, tmp_path, environment)
