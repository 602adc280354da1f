"""Requests made at random from the OpenAPI document: each is answered as the document says, and none is a bug."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis.core.result import Ok
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.generation.case import Case
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backtest_pipelines_tests.api.answering import answering
from backtest_pipelines_tests.api.shapes import parsed

WEEKLY = "call_sell_future_buy_weekly"
EXAMPLES = 20
"""Of each operation and way to make them."""
CONFORMANCE = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@dataclass(frozen=True)
class Fuzzed:
    """An API and the home that it works with; what is there to be found, by the names of path parameters."""

    url: str
    home: Path
    known: dict[str, object]

    @property
    def operations(self) -> list[APIOperation[Any, Any, Any, Any]]:
        schema = schemathesis.openapi.from_url(f"{self.url}/api/v1/openapi.json")
        operations = []
        for found in schema.get_all_operations():
            assert isinstance(found, Ok), found
            operations.append(found.ok())
        return operations


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with answering(tmp_path_factory.mktemp("home")) as running:
        url = running.api.url

        def execute(**fields: object) -> Any:
            body = {"strategy_name": WEEKLY, **fields}
            return httpx.post(f"{url}/api/v1/execute", json=body, timeout=30).json()

        answered, waiting = execute(), execute(async_execution=True)
        known = {
            "execution_id": answered["execution_id"],
            "fingerprint": answered["result"]["metadata"]["provenance"]["fingerprint"],
            "job_id": waiting["job_id"],
            "name": WEEKLY,
            "strategy_name": WEEKLY,
        }
        yield Fuzzed(url, running.api.home, known)


def test_requests_that_the_document_allows_are_answered(fuzzed: Fuzzed) -> None:
    answered = set()
    for operation in fuzzed.operations:
        known = {each.name: fuzzed.known[each.name] for each in operation.path_parameters if each.name in fuzzed.known}
        cases = operation.as_strategy(GenerationMode.POSITIVE)
        if known:
            cases = st.one_of(cases, operation.as_strategy(GenerationMode.POSITIVE, path_parameters=known))
        if any(status < 300 for status in statuses(cases)):
            answered.add(operation.label)
    assert {operation.label for operation in fuzzed.operations} - answered == set()
    assert "Traceback" not in (fuzzed.home / "api.log").read_text()


def test_requests_that_the_document_does_not_allow_are_refused(fuzzed: Fuzzed) -> None:
    refused = set()
    for operation in fuzzed.operations:
        with suppress(Unsatisfiable):  # where nothing that can be sent is forbidden
            if any(status >= 400 for status in statuses(operation.as_strategy(GenerationMode.NEGATIVE))):
                refused.add(operation.label)
    assert {operation.label for operation in fuzzed.operations if operation.body or operation.query} - refused == set()
    assert "Traceback" not in (fuzzed.home / "api.log").read_text()


def statuses(cases: st.SearchStrategy[Case[Any]]) -> list[int]:
    """Send requests, check their answers, and return how they were answered."""
    found: list[int] = []

    @seed(1)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases)
    def send(case: Case[Any]) -> None:
        answer = case.call()
        check(case, answer)
        found.append(answer.status_code)

    send()
    return found


def check(case: Case[Any], answer: Response) -> None:
    """Fail where an answer is a bug, is not what the document says, or is JSON with NaN or infinity."""
    told = f"{case.as_curl_command()}\n{answer.status_code} {answer.content[:500]!r}"
    assert answer.status_code != 500, told
    case.validate_response(answer, CONFORMANCE)
    if "json" in "".join(answer.headers.get("content-type", [])):
        parsed(answer.content)
