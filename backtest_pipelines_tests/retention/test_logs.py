from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backtest_pipelines.logs import LOOK_EACH_S
from backtest_pipelines.retention import logs
from backtest_pipelines.retention.limits import DAY_S
from backtest_pipelines.retention.logs import prune_logs, turn_over

WRITER = """
import sys, time
for number in range(20_000):
    sys.stdout.write(f"line {number}\\n")
    sys.stdout.flush()
time.sleep(0.2)  # so that the last line does not come while the log is emptied
sys.stdout.write("line of the end\\n")
"""

FOLLOWER = """
import logging, os, sys, threading, time
from pathlib import Path
from backtest_pipelines.logs import LogSettings, configure_logging
configure_logging(LogSettings(file=Path(sys.argv[1])), "api")
logger = logging.getLogger("backtest_pipelines.somewhere")
def write(who):
    for number in range(2_000):
        logger.info("line %s %d", who, number)
        time.sleep(0.0005)
child = os.fork()
name = "parent" if child else "child"
threads = [threading.Thread(target=write, args=[f"{name}-{number}"]) for number in (1, 2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
if child: sys.exit(os.waitpid(child, 0)[1])
"""


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LARGEST_BYTES", 10)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("is_open", [False, True])
def test_a_large_log_becomes_the_old_one(tmp_path: Path, *, is_open: bool) -> None:
    log, older = tmp_path / "web.log", tmp_path / "web.log.1"
    turn_over(log, is_open=is_open)
    log.write_text("short")
    turn_over(log, is_open=is_open)
    assert (log.read_text(), older.exists()) == ("short", False)
    for text in ("a long life", "another long life"):
        log.write_text(text)
        turn_over(log, is_open=is_open)
        assert older.read_text() == text
        assert (log.stat().st_size == 0) if is_open else not log.exists()


def test_an_open_log_is_turned_over_while_its_process_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LARGEST_BYTES", 20_000)
    log, older = tmp_path / "api.log", tmp_path / "api.log.1"
    with log.open("ab") as file, subprocess.Popen([sys.executable, "-c", WRITER], stdout=file) as writer:
        while writer.poll() is None:
            turn_over(log, is_open=True)
            time.sleep(0.001)
        assert writer.returncode == 0
    assert older.exists()
    last = (older.read_bytes() + log.read_bytes()).splitlines()
    assert last[-1] == b"line of the end"
    assert all(line.startswith(b"line ") for line in log.read_bytes().splitlines()[1:])
    assert b"\0" not in log.read_bytes()


def test_no_line_is_lost_of_processes_that_follow_their_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LARGEST_BYTES", 20_000)
    log, older = tmp_path / "api.log", tmp_path / "api.log.1"
    lines: list[str] = []
    turns = 0
    with log.open("ab") as file:
        writer = subprocess.Popen([sys.executable, "-c", FOLLOWER, str(log)], stdout=file, stderr=file)
    while writer.poll() is None:
        if log.exists() and log.stat().st_size > logs.LARGEST_BYTES:
            lines += older.read_text().splitlines() if older.exists() else []
            turn_over(log, is_open=False)
            turns += 1
        time.sleep(3 * LOOK_EACH_S)
    lines += [line for path in (older, log) if path.exists() for line in path.read_text().splitlines()]
    assert writer.returncode == 0, lines[-20:]
    assert turns > 1
    expected = sorted(
        f"line {who}-{thread} {number}" for who in ("parent", "child") for thread in (1, 2) for number in range(2_000)
    )
    assert sorted(line.partition(" api ")[2] for line in lines) == expected


def test_old_logs_are_deleted_and_those_of_a_process_emptied(tmp_path: Path) -> None:
    old_s = time.time() - 31 * DAY_S
    for name, is_old in (("web.log", True), ("web.log.1", True), ("api.log", False), ("api.log.1", False)):
        path = tmp_path / name
        path.write_text("words")
        if is_old:
            os.utime(path, (time.time(), old_s))  # read just now, as by a person: that does not count
    (tmp_path / "notes.txt").write_text("not ours")
    os.utime(tmp_path / "notes.txt", (old_s, old_s))

    expected = prune_logs(tmp_path, older_than_s=30 * DAY_S, dry_run=True)
    assert (tmp_path / "web.log").read_text() == "words"
    done = prune_logs(tmp_path, older_than_s=30 * DAY_S)
    assert done == expected
    assert (done.count, done.bytes, done.kept) == (2, 10, 2)
    assert (tmp_path / "web.log").read_text() == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["api.log", "api.log.1", "notes.txt", "web.log"]
    assert prune_logs(tmp_path, older_than_s=30 * DAY_S).count == 0
    assert prune_logs(tmp_path / "absent", older_than_s=1.0).kept == 0
