"""Questions that are answered at once: over a real API with a real Valkey, and without Dagster."""

import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from backtest_pipelines.api.answer_models import Accepted, Completed
from backtest_pipelines.api.executions import ExecutionView
from backtest_pipelines.executions.execute import execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import ExecutionRecords
from backtest_pipelines.records.jobs import JobRecords
from backtest_pipelines.results.exports import records
from backtest_pipelines_tests.api.answering import answering
from backtest_pipelines_tests.api.problems import problem
from backtest_pipelines_tests.api.processes import Api
from backtest_pipelines_tests.servers import ValkeyServer

WEEKLY = "call_sell_future_buy_weekly"
PARAMETERS = {"spot_adjustment_type": 3, "spot_adjustment": 0.5, "call_sell_position": 0, "symbol": "NIFTY"}
BODY = {"strategy_name": WEEKLY, "parameters": PARAMETERS}

Json = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """An API with an ingested market, and a client of it."""

    api: Api
    client: httpx.Client
    valkey: ValkeyServer

    def execute(self, key: str | None = None, **fields: object) -> httpx.Response:
        headers = {} if key is None else {"Idempotency-Key": key}
        return self.client.post("/api/v1/execute", json={**BODY, **fields}, headers=headers)

    def done(self, key: str | None = None, **fields: object) -> Json:
        answer = self.execute(key, **fields)
        assert answer.status_code == 200, answer.text
        content: Json = answer.json()
        model = Accepted if "job_id" in content else Completed
        assert set(content) == set(model.model_fields)
        model.model_validate(content)
        return content

    def executions(self) -> list[Json]:
        listed: list[Json] = self.client.get("/api/v1/executions?limit=1000").json()
        for execution in listed:
            assert set(execution) == set(ExecutionView.model_fields)
            ExecutionView.model_validate(execution)
        return listed


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with (
        answering(tmp_path_factory.mktemp("home")) as running,
        httpx.Client(base_url=running.api.url, timeout=30, trust_env=False) as client,
    ):
        yield Service(running.api, client, running.valkey)


def test_the_first_time_it_is_computed_and_the_second_time_found(service: Service) -> None:
    first, second = service.done(), service.done()
    assert set(first) == {
        "execution_id",
        "strategy_name",
        "status",
        "started_at",
        "completed_at",
        "duration_ms",
        "cached",
        "row_count",
        "result",
    }
    assert (first["strategy_name"], first["status"], first["cached"], second["cached"]) == (
        WEEKLY,
        "completed",
        False,
        True,
    )
    assert 1 <= first["execution_id"] < second["execution_id"] < 2**53
    assert first["result"] == second["result"]
    assert first["row_count"] == len(first["result"]["data"]) > 0
    started, completed = (datetime.fromisoformat(first[name]) for name in ("started_at", "completed_at"))
    assert started.utcoffset() == completed.utcoffset() == timedelta(0)
    assert (completed - started) / timedelta(milliseconds=1) == pytest.approx(first["duration_ms"], abs=0.001)


def test_the_result_is_the_answer_that_the_library_gives(service: Service) -> None:
    asked = service.done(from_date="2024-05-02", phases=[{"start": "2024-05-02", "end": "2024-05-30"}], costs=True)
    request = ExecutionRequest(
        WEEKLY,
        parameters={"spot_adjustment_type": 3, "spot_adjustment": "0.5"},
        from_date="2024-05-02",
        phases=[("2024-05-02", "2024-05-30")],
        costs=True,
        use_cache=False,
    )
    with Workspace(Settings(service.api.home, service.api.home / "inbox", redis=None)) as workspace:
        answer = execute(request, workspace).answer
    metadata = asked["result"]["metadata"]
    assert asked["result"]["data"] == records(answer.trades)
    assert {name: metadata[name] for name in answer.statistics} == answer.statistics
    assert metadata["notices"] == records(answer.notices)
    assert metadata["provenance"] == answer.provenance
    assert set(metadata) == {*answer.statistics, "notices", "provenance"}


def test_what_was_answered_is_on_record_and_counts(service: Service) -> None:
    before = service.client.get("/api/v1/metrics").json()["overall"]
    asked = [service.done(exit_at_expiry="intrinsic") for _ in range(3)]
    after = service.client.get("/api/v1/metrics").json()["overall"]
    changes = {name: after[name] - before[name] for name in ("total_executions", "cache_hits", "cache_misses")}
    assert changes == {"total_executions": 3, "cache_hits": 2, "cache_misses": 1}
    on_record = {found["execution_id"]: found for found in service.executions()}
    for one in asked:
        found = on_record[one["execution_id"]]
        assert (found["door"], found["job_id"], found["error"]) == ("rest", None, None)
        assert {name: found[name] for name in ("strategy_name", "status", "cached", "row_count", "duration_ms")} == {
            name: one[name] for name in ("strategy_name", "status", "cached", "row_count", "duration_ms")
        }
        assert found["started_at"] == one["started_at"]
    assert [on_record[one["execution_id"]]["tier"] for one in asked] == [None, "redis", "redis"]


def test_without_the_cache_it_is_computed_afresh(service: Service) -> None:
    first, second = (service.done(use_cache=False) for _ in range(2))
    assert (first["cached"], second["cached"]) == (False, False)
    assert first["result"] == second["result"]


def test_100_equal_questions_at_once_are_computed_once(service: Service) -> None:
    position: dict[str, Any] = {"parameters": {**PARAMETERS, "call_sell_position": 1.25}}
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: service.done(**position), range(100)))
    assert len({answer["execution_id"] for answer in answers}) == 100
    assert len({json.dumps(answer["result"]) for answer in answers}) == 1
    kept = {path.stat().st_mtime_ns for path in (service.api.home / "answers").rglob("*") if path.is_file()}
    assert service.done(**position)["cached"] is True
    assert {path.stat().st_mtime_ns for path in (service.api.home / "answers").rglob("*") if path.is_file()} == kept


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"strategy_name": "no_such_variant"}, "strategy_name"),
        ({"strategy_name": 3}, "strategy_name"),
        ({"strategy": WEEKLY}, "strategy"),
        ({"parameters": {**PARAMETERS, "symbol": "nifty"}}, "symbol"),
        ({"parameters": {**PARAMETERS, "symbol": ["NIFTY"]}}, "symbol"),
        ({"parameters": {**PARAMETERS, "spot_adjustment": 101}}, "spot_adjustment"),
        ({"parameters": {**PARAMETERS, "no_such_parameter": 1}}, "parameter"),
        ({"parameters": None}, "parameters"),
        ({"from_date": "01-05-2024"}, "from_date"),
        ({"phases": [["2024-05-02", "2024-05-30"]]}, "phases.0"),
        ({"phases": [{"start": "2024-05-02", "end": "2024-05-30", "stop": 1}]}, "phases.0.stop"),
        ({"phases": [{"start": "2024-05-30", "end": "2024-05-02"}]}, "phases, row 1, start"),
        ({"exit_at_expiry": "open"}, "exit_at_expiry"),
        ({"use_cache": "yes"}, "use_cache"),
        ({"async_execution": 1}, "async_execution"),
        ({"brokerage_inr_per_order": 20}, "brokerage_inr_per_order"),
    ],
    ids=str,
)
def test_a_wrong_question_is_refused_before_anything_starts(service: Service, change: Json, field: str) -> None:
    before = service.executions()[:1]
    content = problem(service.execute(**change), 422)
    assert (content["field"], bool(content["limit"])) == (field, True)
    assert service.executions()[:1] == before


def test_a_wrong_key_is_refused(service: Service) -> None:
    for key in ("", "two words", "x" * 201):
        assert problem(service.execute(key), 422)["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("body", "field", "value"),
    [
        ('{"use_cache": false, "strategy_name": "x", "use_cache": true}', "use_cache", "[False, True]"),
        (
            '{"strategy_name": "x", "parameters": {"symbol": "NIFTY", "symbol": "NIFTY"}}',
            "symbol",
            "['NIFTY', 'NIFTY']",
        ),
        ("null", "body", None),
    ],
)
def test_a_body_that_is_no_object_or_says_two_things_is_refused(
    service: Service, body: str, field: str, value: object
) -> None:
    answer = service.client.post("/api/v1/execute", content=body, headers={"Content-Type": "application/json"})
    content = problem(answer, 422)
    assert (content["field"], content["value"]) == (field, value)


def test_two_keys_are_refused(service: Service) -> None:
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    content = problem(service.client.post("/api/v1/execute", json=BODY, headers=headers), 400)
    assert content["detail"] == "two headers idempotency-key"


def test_what_fails_is_a_problem_and_on_record(service: Service) -> None:
    content = problem(service.execute(from_date="2031-01-01"), 404)
    newest = service.executions()[0]
    assert (newest["status"], newest["error"]) == (
        "failed",
        {"type": "MissingDataError", "message": content["detail"]},
    )
    assert (newest["from_date"], newest["to_date"], newest["phases"]) == ("2031-01-01", None, [])


def test_one_key_is_answered_once_also_when_it_is_sent_at_once(service: Service) -> None:
    fields = {"parameters": {**PARAMETERS, "call_sell_position": 2.5}}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: service.done("race", **fields), range(16)))
    assert len({json.dumps(answer) for answer in answers}) == 1
    assert [found["execution_id"] for found in service.executions()].count(answers[0]["execution_id"]) == 1
    assert problem(service.execute("race", use_cache=False, **fields), 409)["field"] == "request_id"
    assert problem(service.execute("race", async_execution=True, **fields), 409)
    job_id = service.client.get(f"/api/v1/executions/{answers[0]['execution_id']}").json()["job_id"]
    job = service.client.get(f"/api/v1/jobs/{job_id}").json()
    assert (job["status"], job["execution_id"], job["request_id"]) == ("completed", answers[0]["execution_id"], "race")


def test_the_same_key_gives_the_same_failure(service: Service) -> None:
    first, second = (service.execute("fails", from_date="2031-01-01") for _ in range(2))
    assert problem(first, 404)["detail"] == problem(second, 404)["detail"]
    assert len({found["execution_id"] for found in service.executions()[:2]}) == 2
    failed = service.executions()[0]
    assert (failed["status"], failed["job_id"] is not None) == ("failed", True)


def test_a_job_that_another_server_is_answering_is_waited_for(service: Service) -> None:
    answered = service.done("slow")
    with Database(service.api.home / "executions.sqlite") as database:
        jobs = JobRecords(database)
        (job,) = [job for job in jobs.recent(100) if job.request_id == "slow"]
        waiting, _ = jobs.add(
            request_id="slower",
            body_digest=job.body_digest,
            variant=job.variant,
            symbol=job.symbol,
            request=job.request,
        )
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(service.done, "slower")
            time.sleep(0.3)
            assert not asked.done()
            executions = ExecutionRecords(database)
            row = executions.get(answered["execution_id"])
            assert row is not None
            executions.insert(replace(row, id=waiting.execution_id, job_id=waiting.job_id))
            jobs.end(waiting.job_id, "completed")
            assert asked.result(10) == {**answered, "execution_id": waiting.execution_id}


def test_without_a_web_server_a_job_is_accepted_all_the_same(service: Service) -> None:
    accepted = service.done(async_execution=True)
    assert set(accepted) == {"execution_id", "strategy_name", "status", "started_at", "job_id"}
    assert accepted["status"] == "pending"
    job = service.client.get(f"/api/v1/jobs/{accepted['job_id']}").json()
    assert (job["state"], job["execution_id"]) == ("queued", accepted["execution_id"])
    assert service.client.get(f"/api/v1/executions/{accepted['execution_id']}").json()["status"] == "pending"
    assert service.client.delete(f"/api/v1/jobs/{accepted['job_id']}").status_code == 204


def test_an_unknown_job_has_failed_so_that_nobody_waits_for_it(service: Service) -> None:
    answer = service.client.get("/api/v1/jobs/no-such-job")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/json")
    content = answer.json()
    assert (content["status"], content["error"]["type"]) == ("failed", "UnknownError")
    assert "no-such-job" in content["error"]["message"]


def test_json_holds_numbers_only(service: Service) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    answer = service.execute(from_date="2024-06-12")
    content = json.loads(answer.content, parse_constant=refuse)
    assert content["row_count"] == 0
    assert content["result"]["metadata"]["win_rate_frac"] is None
    assert math.isfinite(content["duration_ms"])
