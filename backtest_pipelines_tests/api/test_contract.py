"""The members that clients of the REST API rely on: exactly these, of these kinds, in answers of a real API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from backtest_pipelines_tests.api.answering import answering
from backtest_pipelines_tests.api.shapes import (
    Shape,
    differences,
    each_of,
    is_count,
    is_id,
    is_nothing,
    is_number,
    is_object,
    is_percent,
    is_text,
    is_time,
    is_true_or_false,
    maybe,
    one_of,
    parsed,
)

WEEKLY, T1, T2 = "call_sell_future_buy_weekly", "call_sell_future_buy_t1", "call_sell_future_buy_t2"

ERROR = {"type": is_text, "message": is_text}
ANSWER = {"data": [is_object], "metadata": is_object}
EXECUTED = {
    "execution_id": is_id,
    "strategy_name": one_of(WEEKLY),
    "status": one_of("completed"),
    "started_at": is_time,
    "completed_at": is_time,
    "duration_ms": is_number,
    "cached": is_true_or_false,
    "row_count": is_count,
    "result": ANSWER,
}
ACCEPTED = {
    "execution_id": is_id,
    "strategy_name": one_of(WEEKLY),
    "status": one_of("pending"),
    "started_at": is_time,
    "job_id": is_text,
}
JOB = {
    "job_id": is_text,
    "request_id": maybe(is_text),
    "variant": one_of(WEEKLY),
    "symbol": one_of("NIFTY"),
    "request": is_object,
    "status": one_of("pending", "running", "completed", "failed"),
    "state": one_of("queued", "starting", "running", "completed", "failed", "cancelling", "cancelled"),
    "progress": lambda value: is_number(value) and value <= 1,
    "submitted_at": is_time,
    "run_id": maybe(is_text),
    "attempts": is_count,
    "fingerprint": maybe(is_text),
    "execution_id": is_id,
    "duration_ms": maybe(is_number),
    "row_count": maybe(is_count),
    "error": maybe(ERROR),
}
RESULT_OF_JOB = {
    "status": one_of("SUCCESS"),
    "strategy": one_of(WEEKLY),
    "result": {**ANSWER, "execution_time_ms": is_number, "row_count": is_count},
}
UNKNOWN_JOB = {
    "job_id": is_text,
    "status": one_of("failed"),
    "state": one_of("failed"),
    "progress": one_of(1),
    "error": ERROR,
}
STRATEGY = {
    "name": one_of(WEEKLY, T1, T2),
    "description": is_text,
    "version": is_text,
    "parameters": is_object,
}
EXECUTION = {
    "execution_id": is_id,
    "strategy_name": one_of(WEEKLY),
    "parameters": is_object,
    "from_date": maybe(is_text),
    "to_date": maybe(is_text),
    "phases": [[is_text]],
    "exit_at_expiry": one_of("close", "intrinsic"),
    "status": one_of("pending", "completed", "failed"),
    "started_at": is_time,
    "duration_ms": maybe(is_number),
    "cached": is_true_or_false,
    "tier": one_of(None, "redis", "file"),
    "row_count": maybe(is_count),
    "door": one_of("rest"),
    "attempt": one_of(1),
    "run_id": is_nothing,
    "job_id": maybe(is_text),
    "fingerprint": maybe(is_text),
    "error": maybe(ERROR),
}
METRICS_OF_STRATEGY = {
    "total_executions": is_count,
    "avg_execution_time_ms": is_number,
    "min_execution_time_ms": is_number,
    "max_execution_time_ms": is_number,
    "p50": is_number,
    "p95": is_number,
    "success_rate": is_percent,
    "cache_hit_rate": is_percent,
    "last_executed_at": maybe(is_time),
    "recent_errors": [{"execution_id": is_id, "started_at": is_time, **ERROR}],
}
METRICS = {
    "uptime_seconds": is_number,
    "uptime_hours": is_number,
    "start_time": is_time,
    "current_time": is_time,
    "overall": {
        "total_executions": is_count,
        "successful_executions": is_count,
        "failed_executions": is_count,
        "success_rate": is_percent,
        "cache_hits": is_count,
        "cache_misses": is_count,
        "cache_hit_rate": is_percent,
    },
    "by_strategy": each_of(METRICS_OF_STRATEGY),
    "cache": {"total_cached_entries": is_count, "total_cache_hits": is_count, "memory_used_mb": is_number},
}
CACHE_STATS = {
    "total_cached_entries": is_count,
    "total_cache_hits": is_count,
    "total_cache_misses": is_count,
    "memory_used_mb": is_number,
    "memory_peak_mb": is_number,
    "by_strategy": each_of({"cached_entries": is_count, "total_hits": is_count}),
}
CACHE_HEALTH = {
    "status": one_of("healthy"),
    "available": one_of(True),
    "latency_ms": is_number,
    "version": is_text,
}
INVALIDATED = {"status": one_of("success"), "deleted_entries": is_count, "strategy": one_of(None, T2)}
PARTS = dict.fromkeys(("database", "redis", "dagster", "workers", "projection"), one_of("up", "down"))
READY = {"status": one_of("ready", "degraded"), "parts": PARTS}
PROBLEM = {"type": is_text, "title": is_text, "status": is_count, "detail": is_text}
PROBLEM_OF_FIELD = {**PROBLEM, "field": is_text, "value": lambda _: True, "limit": is_text}


class Caller:
    """A caller that looks at the form of each answer, and what was asked before it came."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.found = self.ask("POST", "execute", EXECUTED, key="key", strategy_name=WEEKLY)
        self.accepted = self.ask("POST", "execute", ACCEPTED, strategy_name=WEEKLY, async_execution=True)
        self.ask("POST", "execute", PROBLEM, 404, strategy_name=WEEKLY, from_date="2031-01-01")
        self.job_id = self.ask("GET", f"executions/{self.found['execution_id']}", EXECUTION)["job_id"]

    def ask(self, method: str, path: str, shape: Shape, status: int = 200, key: str | None = None, **body: Any) -> Any:
        headers = {} if key is None else {"Idempotency-Key": key}
        url = path if path.startswith("/") else f"/api/v1/{path}"
        answer = self.client.request(method, url, json=body or None, headers=headers)
        is_problem = status >= 400 and shape is not UNKNOWN_JOB
        media_type = "application/problem+json" if is_problem else "application/json"
        assert (answer.status_code, answer.headers["content-type"]) == (status, media_type), answer.text
        content = parsed(answer.content)
        assert differences(content, shape) == []
        return content

    def get(self, path: str) -> httpx.Response:
        return self.client.get(f"/api/v1/{path}")

    def delete(self, path: str) -> httpx.Response:
        return self.client.delete(f"/api/v1/{path}")


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with (
        answering(tmp_path_factory.mktemp("home")) as running,
        httpx.Client(base_url=running.api.url, timeout=30, trust_env=False) as client,
    ):
        yield Caller(client)


@pytest.mark.parametrize(
    ("method", "path", "shape"),
    [
        ("GET", "jobs", [JOB]),
        ("GET", f"jobs?status=failed&strategy={WEEKLY}&limit=5", [JOB]),
        ("GET", "strategies", [STRATEGY]),
        ("GET", f"strategies/{T2}", STRATEGY),
        ("GET", "executions", [EXECUTION]),
        ("GET", f"executions?limit=5&strategy_name={WEEKLY}&status=failed", [EXECUTION]),
        ("GET", "metrics", METRICS),
        ("GET", f"metrics/{WEEKLY}", {"strategy_name": one_of(WEEKLY), "metrics": METRICS_OF_STRATEGY}),
        ("GET", f"metrics/{T1}", {"strategy_name": one_of(T1), "metrics": METRICS_OF_STRATEGY}),
        ("POST", f"cache/invalidate?strategy_name={T2}", INVALIDATED),
        ("GET", "cache/stats", CACHE_STATS),
        ("GET", "cache/health", CACHE_HEALTH),
        ("GET", "/health", {"status": one_of("ok")}),
        ("GET", "/ready", READY),
    ],
)
def test_an_answer_has_the_members_of_the_contract(caller: Caller, method: str, path: str, shape: Shape) -> None:
    caller.ask(method, path, shape)


@pytest.mark.parametrize(
    ("method", "path", "status", "shape"),
    [
        ("GET", "jobs/no-such-job", 404, UNKNOWN_JOB),
        ("DELETE", "jobs/no-such-job", 404, PROBLEM),
        ("GET", "strategies/none", 404, PROBLEM),
        ("GET", "executions/1000000", 404, PROBLEM),
        ("GET", "executions/1000000/trades.csv", 404, PROBLEM),
        ("GET", "metrics/none", 404, PROBLEM),
        ("GET", "none", 404, PROBLEM),
        ("GET", "/api/v2", 404, PROBLEM),
        ("PUT", "execute", 405, PROBLEM),
        ("GET", "executions/0", 422, PROBLEM_OF_FIELD),
        ("GET", "executions?limit=x", 422, PROBLEM_OF_FIELD),
        ("GET", "jobs?status=done", 422, PROBLEM_OF_FIELD),
        ("GET", "jobs?strategy=none", 422, PROBLEM_OF_FIELD),
        ("POST", "cache/invalidate?strategy_name=none", 422, PROBLEM_OF_FIELD),
        ("GET", "executions/1/trades.xls", 422, PROBLEM_OF_FIELD),
    ],
)
def test_an_error_has_the_members_of_the_contract(
    caller: Caller, method: str, path: str, status: int, shape: Shape
) -> None:
    content = caller.ask(method, path, shape, status)
    assert content["status"] in (status, "failed")


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "strategies", "docs", "none", "execute"])
def test_head_is_get_without_the_body(caller: Caller, path: str) -> None:
    url = path if path.startswith("/") else f"/api/v1/{path}"
    head, got = caller.client.head(url), caller.client.get(url)
    assert head.content == b""
    assert (head.status_code, head.headers["content-type"]) == (got.status_code, got.headers["content-type"])
    assert int(head.headers["content-length"]) > 0


def test_a_completed_job_gives_its_result_unless_it_is_left_out(caller: Caller) -> None:
    path = f"jobs/{caller.job_id}"
    job = caller.ask("GET", path, {**JOB, "result": RESULT_OF_JOB})
    assert (job["status"], job["state"], job["progress"]) == ("completed", "completed", 1)
    answer = job["result"]["result"]
    assert {name: answer[name] for name in ("data", "metadata")} == caller.found["result"]
    assert (answer["row_count"], answer["execution_time_ms"]) == (job["row_count"], job["duration_ms"])
    assert caller.ask("GET", f"{path}?result=true", {**JOB, "result": RESULT_OF_JOB}) == job
    without = caller.ask("GET", f"{path}?result=false", JOB)
    assert without == {name: value for name, value in job.items() if name != "result"}
    assert caller.ask("GET", f"{path}?result=maybe", PROBLEM_OF_FIELD, 422)["field"] == "result"


def test_jobs_are_listed_without_results_newest_first_by_status_and_strategy(caller: Caller) -> None:
    def listed(query: str) -> list[str]:
        return [job["job_id"] for job in caller.ask("GET", f"jobs?{query}", [JOB])]

    assert listed("") == [caller.accepted["job_id"], caller.job_id]
    assert listed("limit=1") == [caller.accepted["job_id"]]
    assert listed("status=completed") == [caller.job_id]
    assert listed("status=pending") == [caller.accepted["job_id"]]
    assert listed("status=running") == []
    assert len(listed(f"strategy={WEEKLY}")) == 2
    assert listed(f"strategy={T1}") == []


def test_a_job_is_cancelled_with_204_also_twice_and_one_that_completed_with_409(caller: Caller) -> None:
    accepted = caller.ask("POST", "execute", ACCEPTED, strategy_name=WEEKLY, async_execution=True)
    path = f"jobs/{accepted['job_id']}"
    assert [(caller.delete(path).status_code, caller.delete(path).content) for _ in range(2)] == [(204, b"")] * 2
    job = caller.ask("GET", path, JOB)
    assert (job["status"], job["state"], job["error"]["type"]) == ("failed", "cancelled", "cancelled")
    caller.ask("DELETE", f"jobs/{caller.job_id}", PROBLEM, 409)


def test_one_key_and_body_are_one_job_and_another_body_is_409(caller: Caller) -> None:
    body: dict[str, Any] = {"strategy_name": WEEKLY, "async_execution": True}
    first, second = (caller.ask("POST", "execute", ACCEPTED, key="twice", **body) for _ in range(2))
    assert first == second
    caller.ask("POST", "execute", PROBLEM_OF_FIELD, 409, key="twice", **body, use_cache=False)


def test_every_field_of_a_question_is_taken_at_the_top_level(caller: Caller) -> None:
    question: dict[str, Any] = {
        "strategy_name": WEEKLY,
        "parameters": {"spot_adjustment_type": 1, "spot_adjustment": 2, "call_sell_position": 0.5, "symbol": "NIFTY"},
        "from_date": "2024-05-02",
        "to_date": "2024-06-13",
        "phases": [{"start": "2024-05-02", "end": "2024-05-30"}],
        "exit_at_expiry": "intrinsic",
        "use_cache": True,
        "async_execution": False,
    }
    answered = caller.ask("POST", "execute", EXECUTED, **question)
    on_record = caller.ask("GET", f"executions/{answered['execution_id']}", EXECUTION)
    assert {name: float(value) for name, value in on_record["parameters"].items() if name != "symbol"} == {
        "spot_adjustment_type": 1,
        "spot_adjustment": 2,
        "call_sell_position": 0.5,
    }
    assert on_record["parameters"]["symbol"] == "NIFTY"
    for name in ("from_date", "to_date", "exit_at_expiry"):
        assert on_record[name] == question[name]
    assert on_record["phases"] == [["2024-05-02", "2024-05-30"]]


def test_ids_rise_and_executions_are_listed_newest_first(caller: Caller) -> None:
    ids = [caller.ask("POST", "execute", EXECUTED, strategy_name=WEEKLY)["execution_id"] for _ in range(3)]
    assert ids == sorted(set(ids))
    newest = caller.ask("GET", "executions?status=completed&limit=3", [EXECUTION])
    assert [each["execution_id"] for each in newest] == ids[::-1]


@pytest.mark.parametrize(
    ("path", "media_type", "start"),
    [
        ("trades.csv", "text/csv; charset=utf-8", b"entry_date,exit_date,"),
        ("trades.parquet", "application/vnd.apache.parquet", b"PAR1"),
        ("trades.arrow", "application/vnd.apache.arrow.stream", b"\xff\xff\xff\xff"),
        ("figures/equity.svg", "image/svg+xml", b"<svg"),
    ],
)
def test_an_execution_has_files(caller: Caller, path: str, media_type: str, start: bytes) -> None:
    answer = caller.get(f"executions/{caller.found['execution_id']}/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, media_type)
    assert answer.content.startswith(start)


def test_ten_recent_errors_are_told_of_the_newest_first(caller: Caller) -> None:
    for _ in range(11):
        caller.ask("POST", "execute", PROBLEM, 404, strategy_name=WEEKLY, from_date="2031-01-01")
    errors = caller.ask("GET", f"metrics/{WEEKLY}", is_object)["metrics"]["recent_errors"]
    failed = caller.ask("GET", "executions?status=failed&limit=10", [EXECUTION])
    assert [(each["from_date"], each["to_date"], each["phases"]) for each in failed] == [("2031-01-01", None, [])] * 10
    assert [error["execution_id"] for error in errors] == [each["execution_id"] for each in failed]
    assert [{"type": error["type"], "message": error["message"]} for error in errors] == [
        each["error"] for each in failed
    ]
