from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest

from backtest_pipelines.errors import BugError, UnavailableError
from backtest_pipelines.results.codec import CorruptAnswerError
from backtest_pipelines.results.files import AnswerFiles
from backtest_pipelines_tests.results.samples import fingerprint, value


def write_often(folder: Path, times: int) -> None:
    for _ in range(times):
        AnswerFiles(folder).write(fingerprint(0), value())


def test_an_absent_answer_is_a_value_and_creates_nothing(tmp_path: Path) -> None:
    assert AnswerFiles(tmp_path / "results").read(fingerprint(0)) is None
    assert list(tmp_path.iterdir()) == []


def test_an_answer_is_kept_under_the_first_two_digits_of_its_fingerprint(tmp_path: Path) -> None:
    files = AnswerFiles(tmp_path)
    files.write(fingerprint(0), value())
    assert files.read(fingerprint(0)) == value()
    assert [path.relative_to(tmp_path).parts for path in tmp_path.rglob("*") if path.is_file()] == [
        (fingerprint(0)[:2], f"{fingerprint(0)}.answer")
    ]


def test_an_answer_was_kept_when_its_file_was_written_last(tmp_path: Path) -> None:
    files = AnswerFiles(tmp_path)
    assert files.read_with_time(fingerprint(0)) is None
    files.write(fingerprint(0), value(), 1_700_000_000.25)
    assert files.read_with_time(fingerprint(0)) == (value(), 1_700_000_000.25)
    before_s = time.time()
    files.write(fingerprint(0), value())
    found = files.read_with_time(fingerprint(0))
    assert found is not None
    assert before_s - 1e-6 <= found[1] <= time.time()


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    files = AnswerFiles(tmp_path)
    files.write(fingerprint(0), value())
    files.path(fingerprint(0)).write_bytes(value()[:-3])
    with pytest.raises(CorruptAnswerError, match=fingerprint(0)):
        files.read(fingerprint(0))


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "AB" * 32, "ab" * 31])
def test_what_is_no_fingerprint_never_becomes_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(BugError, match="fingerprint"):
        AnswerFiles(tmp_path).read(name)


def test_a_folder_that_cannot_be_made_or_read_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file where the folder should be")
    files = AnswerFiles(tmp_path / "results")
    with pytest.raises(UnavailableError, match="cannot be written"):
        files.write(fingerprint(0), value())
    with pytest.raises(UnavailableError, match="cannot be read"):
        files.read(fingerprint(0))


def test_a_write_that_fails_leaves_no_temporary_file(tmp_path: Path) -> None:
    files = AnswerFiles(tmp_path)
    files.path(fingerprint(0)).mkdir(parents=True)  # a folder where the file should be
    with pytest.raises(UnavailableError, match="cannot be written"):
        files.write(fingerprint(0), value())
    assert list(files.path(fingerprint(0)).parent.iterdir()) == [files.path(fingerprint(0))]


def test_readers_see_whole_answers_while_many_processes_write(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_often, args=(tmp_path, 100)) for _ in range(2)]
    for writer in writers:
        writer.start()
    files = AnswerFiles(tmp_path)
    reads = 0
    while any(writer.is_alive() for writer in writers):
        reads += files.read(fingerprint(0)) is not None  # a part of an answer would be refused
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert reads > 0
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [f"{fingerprint(0)}.answer"]
