"""The one use case: looked up, computed, kept, recorded; the same answer whatever happens to Redis or the bytes."""

import logging
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from backtest_pipelines.errors import BadRequestError, MissingDataError
from backtest_pipelines.executions import answering
from backtest_pipelines.executions.compute import compute
from backtest_pipelines.executions.execute import Executed, execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.records.executions import AlreadyRecordedError
from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.redis_cache import key
from backtest_pipelines.results.sealed import seal, unseal
from backtest_pipelines.results.store import Found
from backtest_pipelines_tests.servers import ValkeyServer

VARIANT = "call_sell_future_buy_weekly"
REQUEST = ExecutionRequest(VARIANT, parameters={"spot_adjustment_type": 3, "spot_adjustment": "1"})


def home(tmp_path: Path, panel: Path) -> Path:
    (tmp_path / "panel").symlink_to(panel)
    return tmp_path


@pytest.fixture
def workspace(tmp_path: Path, panel: Path) -> Iterator[Workspace]:
    with Workspace(Settings(home(tmp_path, panel), tmp_path / "inbox", None)) as opened:
        yield opened


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fingerprints of what was computed."""
    found: list[str] = []

    def counting(*arguments: Any) -> Answer:
        found.append(str(arguments[-1]))
        time.sleep(0.05)
        return compute(*arguments)

    monkeypatch.setattr(answering, "compute", counting)
    return found


def test_the_second_time_is_a_hit_that_computes_nothing(workspace: Workspace, computed: list[str]) -> None:
    first, second = execute(REQUEST, workspace), execute(REQUEST, workspace)
    assert (first.cached, first.tier, second.cached, second.tier) == (False, None, True, "file")
    assert computed == [first.fingerprint]
    assert second.encoded == first.encoded
    assert second.answer.trades.equals(first.answer.trades)
    assert first.answer.row_count > 0
    rows = workspace.records.recent(9)
    assert [row.id for row in rows] == [second.execution_id, first.execution_id]
    assert [row.tier for row in rows] == ["file", None]
    assert {(row.row_count, row.outcome, row.door) for row in rows} == {(first.answer.row_count, "completed", "python")}


def test_without_the_cache_it_is_computed_afresh_and_kept(workspace: Workspace, computed: list[str]) -> None:
    fresh = replace(REQUEST, use_cache=False)
    first, second = execute(fresh, workspace), execute(fresh, workspace)
    assert computed == [first.fingerprint, second.fingerprint]
    assert execute(REQUEST, workspace).tier == "file"
    workspace.answers.files.path(first.fingerprint).unlink()
    execute(fresh, workspace)
    assert execute(REQUEST, workspace).tier == "file"


def test_two_parameter_sets_keep_both_answers(workspace: Workspace) -> None:
    other = replace(REQUEST, parameters={"call_sell_position": "2"})
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda request: execute(request, workspace), (REQUEST, other))
    assert one.fingerprint != two.fingerprint
    assert execute(REQUEST, workspace).encoded == one.encoded
    assert execute(other, workspace).encoded == two.encoded


def test_equal_questions_at_the_same_time_are_computed_once(workspace: Workspace, computed: list[str]) -> None:
    barrier = Barrier(100)

    def ask(_: int) -> Executed:
        barrier.wait()
        return execute(REQUEST, workspace)

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(ask, range(100)))
    assert len(computed) == 1
    assert len({(answer.encoded, answer.kept_s) for answer in answers}) == 1
    assert len({answer.execution_id for answer in answers}) == 100


def test_an_equal_question_that_ends_just_after_the_look_up_is_not_computed_again(
    workspace: Workspace, computed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = workspace.answers.look_up

    def overtaken(*arguments: str) -> Found | None:
        found = look_up(*arguments)
        monkeypatch.setattr(workspace.answers, "look_up", look_up)
        assert execute(REQUEST, workspace).tier is None
        return found

    monkeypatch.setattr(workspace.answers, "look_up", overtaken)
    answer = execute(REQUEST, workspace)
    assert computed == [answer.fingerprint]


def test_a_failure_is_shared_by_those_who_wait_and_not_kept(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = threading.Event()

    def fails(*_: object) -> Answer:
        ready.wait(5)
        raise RuntimeError("the engine broke")

    monkeypatch.setattr(answering, "compute", fails)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(execute, REQUEST, workspace) for _ in range(3)]
        time.sleep(0.2)
        ready.set()
        assert [type(future.exception(10)) for future in waiting] == [RuntimeError] * 3
    assert {row.error_type for row in workspace.records.recent(9)} == {"RuntimeError"}
    monkeypatch.setattr(answering, "compute", compute)
    assert not execute(REQUEST, workspace).cached


def test_a_bad_request_is_recorded_and_raised(workspace: Workspace) -> None:
    bad = replace(REQUEST, parameters={"call_sell_position": float("nan")}, request_id="r1")
    with pytest.raises(BadRequestError, match="call_sell_position"):
        execute(bad, workspace)
    (row,) = workspace.records.recent(9)
    assert (row.outcome, row.error_type, row.request_id) == ("failed", "BadRequestError", "r1")
    assert "-50 to 50 percent" in str(row.error_message)


def test_missing_data_is_recorded_and_raised(tmp_path: Path) -> None:
    with Workspace(Settings(tmp_path, tmp_path / "inbox", None)) as empty:
        with pytest.raises(MissingDataError, match="nothing was ingested"):
            execute(REQUEST, empty)
        assert [row.error_type for row in empty.records.recent(9)] == ["MissingDataError"]


def test_dates_without_a_session_are_missing_data(workspace: Workspace) -> None:
    with pytest.raises(MissingDataError, match="no session from 2020-01-01 to 2020-12-31; the panel holds 2024-07-01"):
        execute(replace(REQUEST, from_date="2020-01-01", to_date="2020-12-31"), workspace)


def test_a_request_id_is_used_once(workspace: Workspace) -> None:
    named = replace(REQUEST, request_id="once")
    first = execute(named, workspace)
    with pytest.raises(AlreadyRecordedError, match=f"execution {first.execution_id}"):
        execute(named, workspace)


def test_answers_are_the_same_with_redis_stopped_before_during_and_after(
    tmp_path: Path, panel: Path, caplog: pytest.LogCaptureFixture
) -> None:
    requests = [replace(REQUEST, parameters={"call_sell_position": str(n)}) for n in range(6)]
    (tmp_path / "plain").mkdir()
    with Workspace(Settings(home(tmp_path / "plain", panel), tmp_path / "inbox", None)) as plain:
        expected = [execute(request, plain).encoded for request in requests]
    (tmp_path / "redis").mkdir()
    home(tmp_path / "redis", panel)
    caplog.set_level(logging.WARNING)

    def asked(server: ValkeyServer) -> tuple[list[bytes], list[str | None]]:
        with Workspace(Settings(tmp_path / "redis", tmp_path / "inbox", server.settings)) as opened:
            found = [execute(request, opened) for request in requests]
        return [answer.encoded for answer in found], [answer.tier for answer in found]

    with ValkeyServer() as server:
        assert asked(server) == (expected, [None] * 6)  # not started yet: computed
        assert caplog.text.count("Redis cache not available") == 1
        server.start()
        assert asked(server) == (expected, ["file"] * 6)  # the files refill Redis
        assert asked(server) == (expected, ["redis"] * 6)
        with Workspace(Settings(tmp_path / "redis", tmp_path / "inbox", server.settings)) as opened:
            during = [execute(requests[0], opened).tier]
            server.kill()
            during += [execute(request, opened).tier for request in requests]
        assert during == ["redis", *["file"] * 6]
        assert asked(server) == (expected, ["file"] * 6)
        assert caplog.text.count("Redis cache not available") == 3


def damaged(value: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(value))
    kind = rng.randrange(4)
    if kind == 0:
        return value[:at] + bytes([value[at] ^ (1 << rng.randrange(8))]) + value[at + 1 :]
    if kind == 1:
        return value[:at]
    if kind == 2:
        return value + rng.randbytes(1 + rng.randrange(64))
    return value[:at] + rng.randbytes(min(64, len(value) - at)) + value[at + 64 :]


def test_a_thousand_damages_are_recomputed_with_a_warning(
    tmp_path: Path, panel: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(20241124)
    small = replace(REQUEST, from_date="2024-07-01", to_date="2024-07-31")
    with (
        ValkeyServer() as server,
        Workspace(Settings(home(tmp_path, panel), tmp_path / "inbox", server.start().settings)) as workspace,
        server.client() as client,
    ):
        first = execute(small, workspace)
        path = workspace.answers.files.path(first.fingerprint)
        name = key(first.fingerprint, VARIANT, "NIFTY")
        for number in range(1000):
            caplog.clear()
            bad = damaged(first.encoded, rng)
            in_redis, in_file = (True, True) if number % 4 == 0 else (number % 2 == 0, number % 2 == 1)
            sealed = seal(name, first.kept_s, first.encoded)
            if in_redis:
                client.set(name, damaged(sealed, rng), ex=3600)
            else:
                client.delete(name)
            if in_file:
                path.write_bytes(bad)
            again = execute(small, workspace)
            assert again.encoded == first.encoded
            assert again.tier == (None if in_file else "file")
            warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
            assert len(warnings) == in_redis + in_file, number
            assert path.read_bytes() == first.encoded == unseal(name, client.get(name))[1]
