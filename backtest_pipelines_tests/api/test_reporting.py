"""Between the API and a real web server of Dagster: answers that no run computed, and runs that recorded nothing."""

import asyncio
import logging
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from backtest_pipelines.api.gateway import new_session
from backtest_pipelines.api.reporting import TRIES, Reports
from backtest_pipelines.api.trouble import Trouble
from backtest_pipelines.api.web_server import WebServer
from backtest_pipelines.defs.metadata import plain_value
from backtest_pipelines.executions.execute import execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.executions.summary import Value, summary
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.graphql.names import PARTITION_TAG
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.records.cursors import ENDED_RUNS, Cursors
from backtest_pipelines.records.database import Database
from backtest_pipelines_tests.api.dagster_web import VARIANT, Installation, installation
from backtest_pipelines_tests.api.upstream import upstream
from backtest_pipelines_tests.integration.dagster_servers import write_small_market
from backtest_pipelines_tests.ports import free_port
from backtest_pipelines_tests.service.dagster import until

FIRST, SECOND = "a" * 64, "b" * 64


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installation(tmp_path_factory.mktemp("home"), free_port()) as running, running.web_server():
        yield running


def reporting(url: str, work: Callable[[Reports], Awaitable[None]]) -> Reports:
    """Let something be done with reports to a web server, and return them."""

    async def run() -> Reports:
        async with new_session() as session:
            trouble = Trouble(logging.getLogger(__name__), "no web server", "a web server")
            reports = Reports(WebServer(url, session, trouble), each_s=0.05)
            await work(reports)
            return reports

    return asyncio.run(run())


def materializations(service: Installation, symbol: str) -> list[dg.AssetMaterialization]:
    """Return what is on record of a variant and a symbol, the newest first."""
    with service.dagster() as instance:
        wanted = dg.AssetRecordsFilter(dg.AssetKey(VARIANT), asset_partitions=[symbol])
        records = instance.fetch_materializations(wanted, limit=10).records
    return [record.asset_materialization for record in records if record.asset_materialization]


def test_an_answer_is_a_materialization_with_the_metadata_of_a_run(service: Installation, tmp_path: Path) -> None:
    write_small_market(tmp_path / "market")
    with Workspace(settings_from({"REDIS_PORT": "1"}, home=tmp_path)) as workspace:
        ingest(exchange_files(tmp_path / "market"), workspace.panels)
        executed = execute(ExecutionRequest(VARIANT), workspace)
    known = {"tier": executed.tier, "duration_ms": executed.duration_ms, "fingerprint": executed.fingerprint}
    plain = summary(executed.answer, execution_id=executed.execution_id, **known)  # type: ignore[arg-type]

    async def work(reports: Reports) -> None:
        reports.put(VARIANT, "NIFTY", executed.fingerprint, plain)
        assert await reports.send_next()

    assert reporting(service.web_url, work).sent == 1
    (found,) = materializations(service, "NIFTY")
    assert dict(found.metadata) == {name: plain_value(value) for name, value in plain.items()}
    assert found.tags is not None
    assert found.tags["dagster/data_version"] == executed.fingerprint
    assert found.description == "Computed by the API, without a run."


def test_of_answers_that_come_fast_the_latest_stands_for_all(service: Installation) -> None:
    async def work(reports: Reports) -> None:
        looking_after = asyncio.create_task(reports.look_after())
        for number in range(50):
            reports.put(VARIANT, "BANKNIFTY", FIRST, {"execution_id": number})
            reports.put(VARIANT, "FINNIFTY", SECOND, {"execution_id": number, "cagr_frac": None})
        while reports.sent < 2:
            await asyncio.sleep(0.02)
        looking_after.cancel()

    reports = reporting(service.web_url, work)
    assert (reports.skipped, reports.given_up) == (98, 0)
    for symbol in ("BANKNIFTY", "FINNIFTY"):
        (found,) = materializations(service, symbol)
        assert found.metadata["execution_id"].value == 49
        assert "49 answers before it" in str(found.description)


def test_what_still_waits_at_the_end_is_sent(service: Installation) -> None:
    async def work(reports: Reports) -> None:
        for symbol in ("MIDCPNIFTY", "NIFTYNXT50"):
            reports.put(VARIANT, symbol, FIRST, {})
        await reports.finish()

    assert reporting(service.web_url, work).sent == 2
    assert len(materializations(service, "MIDCPNIFTY")) == len(materializations(service, "NIFTYNXT50")) == 1


def test_what_does_not_arrive_before_the_end_is_said(caplog: pytest.LogCaptureFixture) -> None:
    async def work(reports: Reports) -> None:
        reports.put(VARIANT, "NIFTY", FIRST, {})
        await reports.finish()

    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert reporting(f"http://127.0.0.1:{silent.getsockname()[1]}", work).sent == 0
    assert "1 answers that the API computed are not shown" in caplog.text


def test_a_web_server_that_is_away_is_waited_for_with_the_latest_answer() -> None:
    sent: list[list[dict[str, Any]]] = []

    async def work(reports: Reports) -> None:
        values: dict[str, Value] = {"execution_id": 1}
        reports.put(VARIANT, "NIFTY", FIRST, values)
        for _ in range(2 * TRIES):
            assert not await reports.send_next()
        reports.put(VARIANT, "NIFTY", SECOND, values)
        assert not await reports.send_next()
        sent.append([report.content() for report in reports._waiting.values()])

    reports = reporting(f"http://127.0.0.1:{free_port()}", work)
    assert (reports.sent, reports.skipped, reports.given_up) == (0, 1, 0)
    ((content,),) = sent
    assert content["data_version"] == SECOND
    assert "1 answers before it" in content["description"]


def test_what_dagster_refuses_is_given_up_and_said_once(
    service: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(reports: Reports) -> None:
        for no_symbol in (7, 8):
            reports.put(VARIANT, no_symbol, FIRST, {})  # type: ignore[arg-type]
            assert await reports.send_next()

    assert reporting(service.web_url, work).given_up == 2
    assert len(caplog.messages) == 1
    assert "Error constructing AssetMaterialization" in caplog.text


def test_what_dagster_fails_to_record_is_tried_a_few_times() -> None:
    async def work(reports: Reports) -> None:
        reports.put(VARIANT, "NIFTY", FIRST, {})
        assert [await reports.send_next() for _ in range(TRIES + 1)] == [False] * (TRIES - 1) + [True] * 2

    with upstream() as failing:
        reports = reporting(failing.url, work)
    assert (len(failing.requests), reports.given_up) == (TRIES, 1)


def test_a_run_that_recorded_nothing_is_put_on_record_unless_it_is_of_no_variant(service: Installation) -> None:
    with Database(service.api.home / "executions.sqlite") as database:
        cursors = Cursors(database)
        until(lambda: cursors.get(ENDED_RUNS) == "0.0", 20, "a first look, which finds no run")
        with service.dagster() as instance:
            failed, other = (
                dg.DagsterRun(job, str(uuid.uuid4()), status=dg.DagsterRunStatus.FAILURE, tags={PARTITION_TAG: "NIFTY"})
                for job in (f"{VARIANT}_job", "execution_metrics_job")
            )
            instance.add_run(other)
            instance.add_run(failed)
        until(lambda: float(cursors.get(ENDED_RUNS) or 0) > time.time() - 60, 20, "a look that finds them")
    (execution,) = service.client.get("/api/v1/executions").json()
    assert (execution["run_id"], execution["door"], execution["status"]) == (failed.run_id, "dagster", "failed")
