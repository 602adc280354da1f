"""The supervisor over small processes: those that die, those that never answer, and those that would rather not end."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from backtest_pipelines.errors import BadRequestError, UnavailableError
from backtest_pipelines.retention import logs
from backtest_pipelines.service.supervisor import child as child_module
from backtest_pipelines.service.supervisor.child import Child, Part
from backtest_pipelines.service.supervisor.sessions import Leader, memory_mb, wait_until
from backtest_pipelines.service.supervisor.supervisor import Supervisor

SLEEP = "import time\ntime.sleep(60)"
STUBBORN = """
import os, pathlib, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pid = os.fork()
if pid: pathlib.Path({note!r}).write_text(str(pid))
time.sleep(60)
"""


def part(name: str, code: str, is_ready: Callable[[int], bool] | None = lambda _pid: True, **more: object) -> Part:
    return Part(name, [sys.executable, "-c", code], is_ready, **more)  # type: ignore[arg-type]


class Watched:
    """A supervisor with what it said."""

    def __init__(self, folder: Path, parts: list[Part]) -> None:
        self.events: list[str] = []
        self.states: list[tuple[tuple[str, str], ...]] = []
        self.children = [Child(part, os.environ, folder) for part in parts]
        self.supervisor = Supervisor(self.children, on_change=self._note, on_event=self.events.append)

    def _note(self) -> None:
        self.states.append(tuple((child.part.name, child.state) for child in self.children))


@contextmanager
def watched(folder: Path, *parts: Part) -> Iterator[Watched]:
    found = Watched(folder, list(parts))
    found.supervisor.start()
    try:
        yield found
    finally:
        found.supervisor.stop()
        assert wait_until(lambda: found.supervisor.has_ended, lambda: 20)


def soon(is_done: Callable[[], bool]) -> None:
    assert wait_until(is_done, lambda: 10)


def test_a_process_waits_for_what_it_needs_and_all_end_in_the_reverse_order(tmp_path: Path) -> None:
    parts = [part("store", "pass", None), part("web", SLEEP, needs=("store",)), part("api", SLEEP)]
    with watched(tmp_path, *parts) as running:
        running.supervisor.wait_until_ready()
        assert [child.state for child in running.children] == ["done", "running", "running"]
    before_web = [states for states in running.states if dict(states)["web"] == "waiting"]
    assert any(dict(states)["store"] == "starting" for states in before_web)
    ended = [[name for name, state in states if state == "stopped"] for states in running.states]
    assert ended[-3:] == [["api"], ["web", "api"], ["store", "web", "api"]]


def test_what_dies_is_started_again_after_growing_pauses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_module, "PAUSES_S", (0.1, 0.6))
    starts = tmp_path / "starts"
    code = f"import time\nopen({str(starts)!r}, 'a').write(f'{{time.monotonic()}}\\n')\ntime.sleep(60)"
    with watched(tmp_path, part("web", code)) as running:
        running.supervisor.wait_until_ready()
        (child,) = running.children
        for number in range(3):
            soon(lambda number=number: starts.exists() and len(starts.read_text().split()) == number + 1)  # type: ignore[misc]
            assert child.leader is not None
            os.kill(child.leader.pid, 9)
            soon(lambda number=number: child.restarts == number + 1)  # type: ignore[misc]
        soon(lambda: len(starts.read_text().split()) == 4)
    times = [float(line) for line in starts.read_text().split()]
    assert times[2] - times[1] >= 0.6
    assert times[3] - times[2] >= 0.6
    assert running.events == [f"web ended with status -9; it is started again (log: {tmp_path / 'web.log'})"] * 3


def test_what_dies_three_times_at_the_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = part("code", "print('no such module'); raise SystemExit(3)", lambda _pid: False)
    with watched(tmp_path, part("redis", SLEEP), broken) as running:
        with pytest.raises(UnavailableError, match=r"(?s)code ended with status 3, 3 times in a row.*no such module"):
            running.supervisor.wait_until_ready()
        assert [child.state for child in running.children] == ["stopped", "stopped"]


def test_what_can_never_answer_is_told_at_once(tmp_path: Path) -> None:
    def is_ready(_pid: int) -> bool:
        raise BadRequestError("definitions", "x", "none of that name")

    with watched(tmp_path, part("web", SLEEP, is_ready)) as running:
        start = time.monotonic()
        with pytest.raises(UnavailableError, match="web cannot answer: definitions: got 'x'"):
            running.supervisor.wait_until_ready()
        assert time.monotonic() - start < 5


def test_what_does_not_answer_in_time_is_killed_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_module, "START_S", 0.3)
    with watched(tmp_path, part("web", SLEEP, lambda _pid: False)) as running:
        with pytest.raises(UnavailableError, match="web did not answer within 0 s, 3 times in a row"):
            running.supervisor.wait_until_ready()
        assert running.children[0].restarts == 2


def test_what_shows_no_sign_of_life_is_killed_with_its_children_and_started_again(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    is_well = True
    stubborn = part("worker", STUBBORN.format(note=str(note)), is_well=lambda _pid: is_well)
    with watched(tmp_path, stubborn) as running:
        running.supervisor.wait_until_ready()
        soon(note.exists)
        leader = running.children[0].leader
        assert leader is not None
        soon(lambda: len(leader.members()) == 2)
        is_well = False
        soon(lambda: running.children[0].state == "pausing")
        is_well = True
        soon(lambda: running.children[0].restarts == 1)
        assert leader.members() == []
        running.supervisor.stop()
        running.supervisor.stop()
    assert running.events[0].startswith("worker shows no sign of life; it is started again")


@pytest.mark.parametrize("asked", [1, 2])
def test_what_will_not_end_is_killed_when_its_time_is_over_and_sooner_with_haste(tmp_path: Path, asked: int) -> None:
    note = tmp_path / "pid"
    stubborn = part("worker", STUBBORN.format(note=str(note)), stop_s=2.5)
    with watched(tmp_path, stubborn) as running:
        running.supervisor.wait_until_ready()
        soon(note.exists)
        leader = running.children[0].leader
        start = time.monotonic()
        for _ in range(asked):
            running.supervisor.stop()
        running.supervisor.wait()
        took_s = time.monotonic() - start
    assert leader is not None
    assert leader.members() == []
    assert (2.5 <= took_s < 4.5) if asked == 1 else (1.0 <= took_s < 2.4)


def test_a_later_process_with_the_same_id_is_another() -> None:
    this = Leader.of_this_process()
    assert this.is_alive()
    assert Leader(this.pid, this.started_s - 60).is_alive() is False
    assert Leader(this.pid, this.started_s - 60).members() == []


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc")
def test_memory_is_told_where_the_system_tells_it() -> None:
    found = memory_mb([os.getpid(), 2**22 + 1])
    assert found is not None
    assert 5 < found < 2000


def test_a_log_is_turned_over_when_large_while_its_process_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LARGEST_BYTES", 10)
    monkeypatch.setattr(child_module, "LOOK_AT_LOG_S", 0.1)
    (tmp_path / "web.log").write_text("an earlier life")
    with watched(tmp_path, part("web", f"print('a long line', flush=True)\n{SLEEP}")) as running:
        running.supervisor.wait_until_ready()
        soon(lambda: (tmp_path / "web.log.1").read_text() == "a long line\n")
        assert (tmp_path / "web.log").stat().st_size == 0


def test_a_process_that_follows_its_log_goes_on_in_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LARGEST_BYTES", 10)
    monkeypatch.setattr(child_module, "LOOK_AT_LOG_S", 0.1)
    code = """
import logging, os, time
from backtest_pipelines.executions.settings import log_settings_from
from backtest_pipelines.logs import configure_logging
configure_logging(log_settings_from(os.environ), "web")
for number in range(10_000):
    logging.warning("line %d", number)
    time.sleep(0.01)
"""
    with watched(tmp_path, replace(part("web", code), follows_its_log=True)) as running:
        running.supervisor.wait_until_ready()
        older = tmp_path / "web.log.1"
        soon(lambda: older.exists() and re.search(r"line [5-9]\d\n", older.read_text()) is not None)
        assert "line 0\n" not in older.read_text()  # which was in the one before
        soon((tmp_path / "web.log").exists)
