"""Which answer files go. Nobody can set the time at which a use was noted, so that the tests move the clock instead."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from backtest_pipelines.results import pruning
from backtest_pipelines.results.files import AnswerFiles
from backtest_pipelines.results.pruning import NOTED_S, prune_answers
from backtest_pipelines.retention.limits import DAY_S, IN_USE_S
from backtest_pipelines.retention.pruned import Pruned
from backtest_pipelines_tests.results.samples import fingerprint, value

SIZE = len(value())
MUCH = 10**9
LATER_S = 9 * DAY_S


@dataclass(frozen=True)
class Kept:
    """Answers 0 to 4, of which 4 was used first and 0 last, and a time some days later."""

    files: AnswerFiles
    now_s: float

    def age_s(self, number: float) -> float:
        """Return the age of an answer; of 1.5 one between those of 1 and 2."""
        times_s = [self.files.path(fingerprint(whole)).stat().st_ctime for whole in {int(number), int(number + 0.5)}]
        return self.now_s - sum(times_s) / len(times_s)

    def prune(self, *, older_than_s: float = MUCH, most_bytes: int = MUCH, **more: Any) -> Pruned:
        return prune_answers(self.files.folder, older_than_s=older_than_s, most_bytes=most_bytes, **more)

    def left(self) -> list[int]:
        return [number for number in range(5) if self.files.path(fingerprint(number)).exists()]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    files = AnswerFiles(tmp_path / "answers")
    for number in (4, 3, 2, 1, 0):
        files.write(fingerprint(number), value(number))
        time.sleep(0.02)
    now_s = time.time() + LATER_S
    monkeypatch.setattr(pruning, "_now_s", lambda: now_s)
    return Kept(files, now_s)


@pytest.mark.parametrize(
    ("oldest", "most_bytes", "expected"),
    [
        (2.5, MUCH, [0, 1, 2]),
        (None, 3 * SIZE, [0, 1, 2]),
        (None, 3 * SIZE - 1, [0, 1]),
        (1.5, 3 * SIZE, [0, 1]),
        (None, 5 * SIZE, [0, 1, 2, 3, 4]),
        (None, 1, []),
    ],
)
def test_old_answers_go_and_then_the_least_recently_used(
    kept: Kept, oldest: float | None, most_bytes: int, expected: list[int]
) -> None:
    limits: dict[str, Any] = {"older_than_s": MUCH if oldest is None else kept.age_s(oldest), "most_bytes": most_bytes}
    times_s = [kept.now_s - kept.age_s(number) for number in range(5)]
    planned = kept.prune(**limits, dry_run=True)
    assert kept.left() == [0, 1, 2, 3, 4]
    done = kept.prune(**limits)
    assert done == planned
    assert kept.left() == expected
    gone = 5 - len(expected)
    assert (done.count, done.bytes, done.kept) == (gone, gone * SIZE, len(expected))
    assert done.oldest_kept == (datetime.fromtimestamp(times_s[expected[-1]], UTC) if expected else None)
    assert kept.prune(**limits).count == 0


def test_an_answer_that_was_read_is_kept_and_its_times_of_change_and_access_stay(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backtest_pipelines.results.files.NOTED_S", 0.0)
    path = kept.files.path(fingerprint(4))
    before = path.stat()
    assert kept.files.read(fingerprint(4)) == value(4)
    assert path.stat().st_ctime_ns > before.st_ctime_ns
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    kept.prune(most_bytes=SIZE)
    assert kept.left() == [4]


def test_who_only_looks_does_not_use_an_answer(kept: Kept) -> None:
    assert kept.files.path(fingerprint(4)).read_bytes() == value(4)
    kept.prune(most_bytes=4 * SIZE)
    assert kept.left() == [0, 1, 2, 3]


def test_a_use_is_noted_once_in_a_while(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kept.files.path(fingerprint(1))
    before_ns = path.stat().st_ctime_ns
    for later_s, is_noted in ((NOTED_S - 60, False), (NOTED_S + 60, True)):
        now_s = time.time() + later_s
        monkeypatch.setattr(time, "time", lambda now_s=now_s: now_s)
        kept.files.read(fingerprint(1))
        monkeypatch.undo()
        assert (path.stat().st_ctime_ns > before_ns) == is_noted


@pytest.mark.parametrize("in_use_s", [IN_USE_S, 5 * DAY_S])
def test_what_is_in_use_or_redis_may_still_have_is_kept(
    kept: Kept, in_use_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    for later_s, count in ((in_use_s, 0), (in_use_s + NOTED_S + 60, 5)):
        monkeypatch.setattr(pruning, "_now_s", lambda later_s=later_s: kept.now_s - LATER_S + later_s)
        assert kept.prune(older_than_s=1, most_bytes=1, in_use_s=in_use_s).count == count


def test_what_a_killed_writer_left_goes_too(kept: Kept) -> None:
    half = kept.files.path(fingerprint(0)).parent / ".b.answer.y.tmp"
    half.write_bytes(b"half")
    done = kept.prune()
    assert (done.count, done.bytes, half.exists()) == (1, 4, False)


def test_an_answer_that_is_used_while_others_are_pruned_stays(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    def use_another(path: Path) -> None:
        path.unlink()
        kept.files.write(fingerprint(0), value(0))

    monkeypatch.setattr(pruning, "delete", use_another)
    done = kept.prune(most_bytes=1)
    assert (done.count, done.kept, kept.left()) == (4, 1, [0])


def test_other_files_and_an_absent_folder_are_left_alone(kept: Kept, tmp_path: Path) -> None:
    other = kept.files.path(fingerprint(0)).parent / "notes.txt"
    other.write_text("mine")
    assert kept.prune(most_bytes=1).count == 5
    assert other.exists()
    assert prune_answers(tmp_path / "absent", older_than_s=1, most_bytes=1).kept == 0
    assert not (tmp_path / "absent").exists()
