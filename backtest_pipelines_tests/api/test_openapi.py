"""The description of the API: whole, true to what is answered, and shown on a page that loads nothing else."""

import base64
import json
import re
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import httpx
import pytest

from backtest_pipelines.api.login.scopes import needed
from backtest_pipelines.api.openapi import TAGS
from backtest_pipelines.market.symbols import SYMBOLS
from backtest_pipelines.strategies import catalogue
from backtest_pipelines_tests.api.processes import Api, api
from backtest_pipelines_tests.ports import free_port

Json = dict[str, Any]
CONTRACT = {
    "Completed": "execution_id strategy_name status started_at completed_at duration_ms cached row_count result",
    "Answer": "data metadata",
    "Accepted": "execution_id strategy_name status started_at job_id",
    "JobResult": "status strategy result",
    "AnswerOfJob": "data metadata execution_time_ms row_count",
    "Failure": "type message",
    "Overall": "total_executions successful_executions failed_executions success_rate cache_hits cache_misses "
    "cache_hit_rate",
    "StrategyMetrics": "total_executions avg_execution_time_ms min_execution_time_ms max_execution_time_ms p50 p95 "
    "success_rate cache_hit_rate last_executed_at recent_errors",
    "Metrics": "uptime_seconds uptime_hours start_time current_time overall by_strategy cache",
    "CacheMetrics": "total_cached_entries total_cache_hits memory_used_mb",
    "MetricsOfStrategy": "strategy_name metrics",
    "Strategy": "name description version parameters",
    "Invalidated": "status deleted_entries strategy",
    "Stats": "total_cached_entries total_cache_hits total_cache_misses memory_used_mb memory_peak_mb by_strategy",
    "StrategyCache": "cached_entries total_hits",
    "Health": "status available latency_ms version",
}
"""The fields that callers rely on."""
OWN = {("/ready", "503"), ("/api/v1/jobs/{job_id}", "404")}
"""Errors that are no problem documents."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with api(tmp_path_factory.mktemp("home"), f"http://127.0.0.1:{free_port()}") as running:
        yield running


@pytest.fixture(scope="module")
def description(served: Api) -> Json:
    found: Json = httpx.get(f"{served.url}/api/v1/openapi.json").json()
    return found


def operations(description: Json) -> list[tuple[str, str, Json]]:
    return [
        (method.upper(), path, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]


def test_each_route_says_what_it_is_for_who_may_ask_and_what_is_answered(description: Json) -> None:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    names = []
    for method, path, operation in operations(description):
        where = f"{method} {path}"
        names.append(operation["operationId"])
        assert operation["summary"] != operation["operationId"].partition("_")[2].title(), where
        assert set(operation["tags"]) <= set(TAGS), where
        scope = needed(method, path)
        assert operation["security"] == ([] if scope is None else [{"token": [scope.word]}]), where
        succeeded = {status: each for status, each in operation["responses"].items() if int(status) < 400}
        assert succeeded, where
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert response["content"] == problem or (path, status) in OWN, where
        assert {"400", "403", "429", "500", "503"} < set(operation["responses"]), where
        assert ("401" in operation["responses"]) == (scope is not None), where
        assert ("404" in operation["responses"]) >= ("{" in path), where
    assert len(names) == len(set(names))
    assert [tag["name"] for tag in description["tags"]] == [
        tag for tag in TAGS if any(tag in operation["tags"] for *_, operation in operations(description))
    ]


def test_the_answers_of_a_route_are_described(description: Json) -> None:
    bare = [
        f"{method} {path} {status}"
        for method, path, operation in operations(description)
        for status, response in operation["responses"].items()
        if int(status) < 400 and status != "204"
        if not response["content"] or response["content"].get("application/json", {}) == {"schema": {}}
    ]
    assert bare == []


def test_what_is_referred_to_is_there(description: Json) -> None:
    named = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(description)))
    assert named == {f"#/components/schemas/{name}" for name in description["components"]["schemas"]}


@pytest.mark.parametrize("name", CONTRACT)
def test_the_fields_of_the_contract_are_described(description: Json, name: str) -> None:
    schema = description["components"]["schemas"][name]
    assert sorted(schema["properties"]) == sorted(CONTRACT[name].split())


def test_what_is_answered_has_the_described_fields(served: Api, description: Json) -> None:
    for path in ("/api/v1/metrics", "/api/v1/cache/stats", "/api/v1/cache/health", "/ready"):
        answer = httpx.get(served.url + path, timeout=20)
        response = description["paths"][path]["get"]["responses"]["200"]
        name = response["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert sorted(answer.json()) == sorted(description["components"]["schemas"][name]["properties"])
    refused = httpx.get(f"{served.url}/api/v1/executions", params={"limit": 0})
    assert refused.headers["content-type"] == "application/problem+json"
    assert set(refused.json()) == set(description["components"]["schemas"]["Problem"]["properties"])


def test_the_page_shows_every_route_and_loads_nothing_else(served: Api, description: Json) -> None:
    page = httpx.get(f"{served.url}/api/v1/docs")
    assert page.status_code == 200
    for method, path, operation in operations(description):
        assert f'<details id="{operation["operationId"]}">\n<summary><b>{method}</b> <code>{path}</code>' in page.text
    for field in ("by_strategy.*.recent_errors[].message", "overall.cache_hit_rate", "[].execution_id"):
        assert f"<code>{field}</code>" in page.text
    assert "<td><code>limit</code></td><td>integer, from 1, to 1000</td><td>default: 50</td>" in page.text
    assert "only answers of this symbol" in page.text
    assert "<script" not in page.text
    assert re.findall(r'(?:src|href|action|url)=?[("]+([^")]*)', page.text) == ["openapi.json"]
    own, of_the_guard = page.headers.get_list("content-security-policy")
    (style,) = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    digest = base64.b64encode(sha256(style.encode()).digest()).decode()
    assert own.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert of_the_guard == "frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("path", "methods"),
    [("/api/v1/jobs", "GET, POST"), ("/api/v1/jobs/1", "DELETE, GET"), ("/api/v1/docs", "GET"), ("/health", "GET")],
)
def test_another_method_is_told_all_of_the_path(served: Api, path: str, methods: str) -> None:
    refused = httpx.put(served.url + path)
    assert (refused.status_code, refused.headers["allow"]) == (405, methods)
    assert refused.headers["content-type"] == "application/problem+json"


def test_names_that_can_be_asked_for_are_described(description: Json) -> None:
    known = [variant.name for variant in catalogue.variants()]
    fields = description["paths"]["/api/v1/execute"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert fields["properties"]["strategy_name"]["enum"] == known
    (key,) = description["paths"]["/api/v1/execute"]["post"]["parameters"]
    assert (key["name"], key["in"]) == ("Idempotency-Key", "header")
    invalidate = description["paths"]["/api/v1/cache/invalidate"]["post"]
    queries = {each["name"]: each["schema"] for each in invalidate["parameters"]}
    assert queries["strategy_name"]["anyOf"][0]["enum"] == known
    assert queries["symbol"]["anyOf"][0]["enum"] == list(SYMBOLS)
