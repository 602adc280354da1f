"""Requests that came together: each gets its own outcome, for one question to Redis."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backtest_pipelines.errors import MissingDataError, UnavailableError
from backtest_pipelines.executions.rendering import KIND
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.serve import Served, serve, serve_found
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.results.redis_cache import key
from backtest_pipelines_tests.servers import ValkeyServer

WEEKLY = ExecutionRequest("call_sell_future_buy_weekly", door="rest")
SHIFTED = replace(WEEKLY, parameters={"call_sell_position": 1})
NEVER_ASKED = replace(WEEKLY, parameters={"call_sell_position": 2})
AFRESH = replace(WEEKLY, use_cache=False)
NO_DATA = replace(WEEKLY, symbol="FINNIFTY", from_date="2031-01-01")


@pytest.fixture
def workspace(tmp_path: Path, panel: Path, valkey: ValkeyServer) -> Iterator[Workspace]:
    """A home in whose cache are the answers to two requests, as JSON."""
    (tmp_path / "panel").symlink_to(panel)
    with Workspace(Settings(tmp_path, tmp_path / "inbox", valkey.settings)) as opened:
        for request in (WEEKLY, SHIFTED):
            assert serve(request, request.question(), opened).answer.tier is None
        yield opened


@pytest.fixture
def asked_for(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The keys of each question that Redis is asked."""
    assert workspace.answers.cache is not None
    get_all, found = workspace.answers.cache.get_all, []

    def noting(names: list[str]) -> object:
        found.append(list(names))
        return get_all(names)

    monkeypatch.setattr(workspace.answers.cache, "get_all", noting)
    return found


def together(workspace: Workspace, *requests: ExecutionRequest) -> list[Served | Exception | None]:
    return serve_found([(request, request.question()) for request in requests], workspace)


def tier(outcome: object) -> object:
    return outcome.answer.tier if isinstance(outcome, Served) else outcome


def rendering_key(request: ExecutionRequest, served: object) -> str:
    assert isinstance(served, Served)
    return key(served.row.fingerprint or "", str(request.variant), str(request.symbol), KIND)


def test_each_request_gets_what_it_would_get_alone(workspace: Workspace) -> None:
    requests = (WEEKLY, NO_DATA, SHIFTED, AFRESH, NEVER_ASKED, WEEKLY)
    first, refused, second, afresh, unknown, again = together(workspace, *requests)
    assert isinstance(first, Served)
    assert isinstance(second, Served)
    assert isinstance(again, Served)
    assert isinstance(refused, MissingDataError)
    assert (afresh, unknown) == (None, None)
    assert (first.answer.tier, first.row.cached, first.row.door) == ("redis", True, "rest")
    assert again.answer.json == first.answer.json != second.answer.json
    for position, served in ((0, first), (1, second)):
        answer = json.loads(served.answer.json)
        assert float(answer["metadata"]["provenance"]["parameters"]["call_sell_position"]) == position
        assert served.row.row_count == len(answer["data"]) > 0
    assert again.row is not first.row


def test_what_is_refused_is_on_record_and_all_else_is_left_to_who_asked(workspace: Workspace) -> None:
    together(workspace, WEEKLY, NO_DATA, NO_DATA, NEVER_ASKED)
    assert [(row.error_type, row.symbol) for row in workspace.records.recent(9)] == [
        ("MissingDataError", "FINNIFTY")
    ] * 2


def test_redis_is_asked_once_for_all_and_once_for_equal_ones(workspace: Workspace, asked_for: list[list[str]]) -> None:
    outcomes = together(workspace, WEEKLY, SHIFTED, WEEKLY, AFRESH, SHIFTED)
    assert [tier(outcome) for outcome in outcomes] == ["redis", "redis", "redis", None, "redis"]
    assert [sorted(names) for names in asked_for] == [
        sorted([rendering_key(WEEKLY, outcomes[0]), rendering_key(SHIFTED, outcomes[1])])
    ]
    assert together(workspace) == []
    assert len(asked_for) == 1


def test_a_damaged_rendering_is_made_again_once_and_spoils_no_other(
    workspace: Workspace, valkey: ValkeyServer, asked_for: list[list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    sound = together(workspace, WEEKLY, SHIFTED)
    name = rendering_key(WEEKLY, sound[0])
    with valkey.client() as client:
        client.setrange(name, 60, b"damaged")
        asked_for.clear()
        outcomes = together(workspace, WEEKLY, SHIFTED, WEEKLY)
        assert client.exists(name)
    assert caplog.text.count("damaged json in Redis, removed") == 1
    assert len(asked_for) == 2, "for the renderings, and for the answer of which one is made"
    for outcome, expected in zip(outcomes, [sound[0], sound[1], sound[0]], strict=True):
        assert isinstance(outcome, Served)
        assert isinstance(expected, Served)
        assert outcome.answer.json == expected.answer.json


def test_without_redis_files_answer_them_all(workspace: Workspace, tmp_path: Path) -> None:
    assert tier(together(workspace, WEEKLY)[0]) == "redis"
    with Workspace(Settings(tmp_path, tmp_path / "inbox", None)) as without:
        assert [tier(outcome) for outcome in together(without, WEEKLY, NEVER_ASKED, SHIFTED)] == ["file", None, "file"]


def test_where_it_is_not_known_what_was_invalidated_each_gets_an_error_of_its_own(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(variant: str, symbol: str) -> float:
        raise UnavailableError(f"no stamp of {variant} on {symbol}")

    monkeypatch.setattr(workspace.answers, "_stamps", type("Stamps", (), {"before_s": staticmethod(unknown)})())
    monkeypatch.setattr(workspace.answers, "_known", {})
    outcomes = together(workspace, WEEKLY, NO_DATA, SHIFTED)
    assert [type(outcome) for outcome in outcomes] == [UnavailableError, MissingDataError, UnavailableError]
    assert "no stamp" in str(outcomes[0])
    assert outcomes[0] is not outcomes[2]
    assert len(workspace.records.recent(9)) == 3
