"""The routes of strategies, executions and metrics, over what real doors put on record, without Dagster."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pyarrow as pa
import pytest

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.executions.execute import Executed, execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.results.files import AnswerFiles
from backtest_pipelines.results.pruning import NOTED_S, prune_answers
from backtest_pipelines_tests.api.processes import api
from backtest_pipelines_tests.integration.dagster_servers import write_small_market
from backtest_pipelines_tests.ports import free_port

WEEKLY = "call_sell_future_buy_weekly"
UNASKED = "call_sell_future_buy_t1"


@dataclass(frozen=True)
class Recorded:
    """An API, and what was executed before: computed, found, and one that failed."""

    client: httpx.Client
    answers: AnswerFiles
    first: Executed
    second: Executed


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    home = tmp_path_factory.mktemp("home")
    write_small_market(home / "market")
    with Workspace(settings_from({"REDIS_PORT": "1"}, home=home)) as workspace:
        ingest(exchange_files(home / "market"), workspace.panels)
        first, second = (execute(ExecutionRequest(WEEKLY), workspace) for _ in range(2))
        with pytest.raises(BadRequestError):
            execute(ExecutionRequest(WEEKLY, parameters={"spot_adjustment": 101}), workspace)
    with api(home, f"http://127.0.0.1:{free_port()}") as running, httpx.Client(base_url=running.url) as client:
        yield Recorded(client, workspace.answers.files, first, second)


def test_the_catalogue_says_what_can_be_asked(recorded: Recorded) -> None:
    every = recorded.client.get("/api/v1/strategies").json()
    one = recorded.client.get(f"/api/v1/strategies/{WEEKLY}").json()
    assert one in every
    assert set(one) == {"name", "description", "version", "parameters"}
    assert one["parameters"]["properties"]["spot_adjustment"]["maximum"] == 100
    assert one["parameters"]["properties"]["symbol"]["enum"][0] == "NIFTY"
    assert recorded.client.get("/api/v1/strategies/none").status_code == 404


def test_executions_are_listed_newest_first_by_variant_and_status(recorded: Recorded) -> None:
    def ids(**wanted: str | int) -> list[int]:
        answer = recorded.client.get("/api/v1/executions", params=wanted)
        assert answer.status_code == 200, answer.text
        return [execution["execution_id"] for execution in answer.json()]

    assert ids() == [3, 2, 1]
    assert ids(limit=1) == [3]
    assert ids(status="completed", strategy_name=WEEKLY) == [2, 1]
    assert ids(status="pending") == ids(strategy_name=UNASKED) == []
    for wrong in ({"limit": 0}, {"limit": 1001}, {"status": "done"}, {"strategy_name": "none"}):
        assert recorded.client.get("/api/v1/executions", params=wrong).status_code == 422


@pytest.mark.parametrize(
    ("path", "name", "value", "limit"),
    [
        (
            "executions?strategy=none",
            "strategy",
            "none",
            "allowed: limit, strategy_name, status; did you mean strategy_name?",
        ),
        ("executions?limit=1&limit=2", "limit", "['1', '2']", "allowed: once"),
        ("executions?=1", "", "1", "allowed: limit, strategy_name, status"),
        ("executions/1?limit=1", "limit", "1", "allowed: no query parameters here"),
        ("executions/1/trades.csv?form=csv", "form", "csv", "allowed: no query parameters here"),
        ("strategies?%ff", "\ufffd", "", "allowed: no query parameters here"),
        ("strategies/none?Result", "Result", "", "allowed: no query parameters here"),
        ("metrics?strategy_name=none", "strategy_name", "none", "allowed: no query parameters here"),
        ("jobs?variant=none", "variant", "none", "allowed: status, strategy, limit"),
        ("jobs/1?results=false", "results", "false", "allowed: result; did you mean result?"),
        ("results/1?format=csv", "format", "csv", "allowed: no query parameters here"),
    ],
)
def test_a_query_parameter_that_is_not_known_is_refused(
    recorded: Recorded, path: str, name: str, value: str, limit: str
) -> None:
    refused = recorded.client.get(f"/api/v1/{path}")
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    content = refused.json()
    assert (content["field"], content["value"], content["limit"]) == (name, value, limit)


def test_an_execution_says_what_became_of_it(recorded: Recorded) -> None:
    first, second, third = (recorded.client.get(f"/api/v1/executions/{number}").json() for number in (1, 2, 3))
    assert (first["status"], first["cached"], first["tier"], first["error"]) == ("completed", False, None, None)
    assert (second["status"], second["cached"], second["tier"]) == ("completed", True, "file")
    assert first["row_count"] == second["row_count"] == recorded.first.answer.row_count
    assert first["parameters"]["symbol"] == "NIFTY"
    assert (third["status"], third["error"]["type"]) == ("failed", "BadRequestError")
    assert "allowed: 0 to 100" in third["error"]["message"]
    assert recorded.client.get("/api/v1/executions/4").status_code == 404
    for wrong in ("0", "x", str(2**53)):
        assert recorded.client.get(f"/api/v1/executions/{wrong}").status_code == 422


def test_the_trades_come_as_files_and_the_equity_as_a_picture(recorded: Recorded) -> None:
    trades = recorded.first.answer.trades
    base = f"/api/v1/executions/{recorded.first.execution_id}"
    text = recorded.client.get(f"{base}/trades.csv").text
    assert len(list(csv.DictReader(io.StringIO(text)))) == trades.num_rows
    assert pa.ipc.open_stream(recorded.client.get(f"{base}/trades.arrow").content).read_all() == trades
    assert recorded.client.get(f"{base}/trades.parquet").content[:4] == b"PAR1"
    assert recorded.client.get(f"{base}/figures/equity.svg").text.startswith("<svg")
    assert recorded.client.get("/api/v1/executions/3/trades.csv").status_code == 409


def test_metrics_count_what_is_on_record(recorded: Recorded) -> None:
    metrics = recorded.client.get("/api/v1/metrics").json()
    overall = metrics["overall"]
    assert (overall["total_executions"], overall["successful_executions"], overall["failed_executions"]) == (3, 2, 1)
    assert (overall["cache_hits"], overall["cache_misses"], overall["cache_hit_rate"]) == (1, 1, 50.0)
    assert overall["success_rate"] == pytest.approx(200 / 3)
    one = metrics["by_strategy"][WEEKLY]
    times = sorted([recorded.first.duration_ms, recorded.second.duration_ms])
    assert [one["min_execution_time_ms"], one["max_execution_time_ms"]] == pytest.approx(times)
    assert one["avg_execution_time_ms"] == pytest.approx(sum(times) / 2)
    assert times[0] <= one["p50"] <= one["p95"] <= times[1]
    assert [error["type"] for error in one["recent_errors"]] == ["BadRequestError"]
    assert recorded.client.get(f"/api/v1/metrics/{WEEKLY}").json() == {"strategy_name": WEEKLY, "metrics": one}
    assert recorded.client.get(f"/api/v1/metrics/{UNASKED}").json()["metrics"]["total_executions"] == 0
    assert recorded.client.get("/api/v1/metrics/none").status_code == 404


@pytest.mark.parametrize("what", ["was removed, as retention does", "is damaged"])
def test_an_answer_that_is_gone_says_so_and_comes_back_with_its_question(recorded: Recorded, what: str) -> None:
    path = recorded.answers.path(recorded.first.fingerprint)
    if what == "is damaged":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        pruned = prune_answers(recorded.answers.folder, older_than_s=0, most_bytes=0, in_use_s=-NOTED_S)
        assert pruned.count == 1
    base = f"/api/v1/executions/{recorded.first.execution_id}"
    files = [f"{base}/trades.{form}" for form in ("csv", "parquet", "arrow")] + [f"{base}/figures/equity.svg"]
    for file in files:
        gone = recorded.client.get(file)
        assert (gone.status_code, gone.headers["content-type"]) == (410, "application/problem+json")
        assert f"the answer of execution {recorded.first.execution_id} {what}" in gone.json()["detail"]
        assert "ask its question again" in gone.json()["detail"]
    assert recorded.client.get(base).json()["status"] == "completed"
    assert recorded.client.post("/api/v1/execute", json={"strategy_name": WEEKLY}).json()["cached"] is False
    assert [recorded.client.get(file).status_code for file in files] == [200] * 4
