"""How a process logs: each case is a process of its own, as the setting is one of a whole process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.executions.settings import log_settings_from
from backtest_pipelines.logs import LOOK_EACH_S, LogSettings

HEAD = """
import logging, threading, warnings
from backtest_pipelines.logs import LogSettings, configure_logging, log_context
ours, theirs = logging.getLogger("backtest_pipelines.somewhere"), logging.getLogger("library")
"""


def lines(code: str, form: str = "json", level: str | None = None) -> list[str]:
    """Return what a process writes on stderr."""
    script = f"{HEAD}configure_logging(LogSettings({form!r}, {level!r}), 'worker')\n{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == ""
    return done.stderr.splitlines()


def objects(code: str, level: str | None = None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in lines(code, level=level)]


def test_a_line_of_json_says_who_when_and_of_what() -> None:
    (line,) = objects(
        "with log_context(run_id='r', job_id='j'), log_context(execution_id=7): ours.info('%d trades\\n', 3)"
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("at"))
    assert isinstance(line.pop("pid"), int)
    assert line == {
        "level": "info",
        "logger": "backtest_pipelines.somewhere",
        "message": "3 trades\n",
        "process": "worker",
        "run_id": "r",
        "execution_id": 7,
        "job_id": "j",
        "exception": None,
    }


def test_ids_are_those_of_the_context_a_line_is_written_in() -> None:
    code = """
with log_context(run_id="r"):
    ours.info("inside")
    thread = threading.Thread(target=ours.info, args=["in another thread"])
    thread.start()
    thread.join()
ours.info("outside")
"""
    assert [line["run_id"] for line in objects(code)] == ["r", None, None]


def test_a_line_of_text_has_the_ids_that_are_known_and_no_second_beginning() -> None:
    first, second, third = lines(
        "with log_context(run_id='r', execution_id=7, job_id='j'): ours.info('a')\n"
        "ours.warning('b\\n2024 INFO forged')",
        form="text",
    )
    assert re.fullmatch(r"[-\d]+ [:\d]+,\d{3} INFO worker \[run r\] \[execution 7\] \[job j\] a", first)
    assert re.fullmatch(r"[-\d]+ [:\d]+,\d{3} WARNING worker b", second)
    assert third == "  2024 INFO forged"


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warning", "warning"]),
        (None, ["info", "warning", "warning"]),
        ("warning", ["warning", "warning"]),
        ("error", []),
    ],
)
def test_the_level_is_that_of_the_package_and_libraries_only_warn(level: str | None, expected: list[str]) -> None:
    code = "ours.debug('a'); ours.info('b'); ours.warning('c'); theirs.info('d'); theirs.warning('e')"
    assert [line["level"] for line in objects(code, level)] == expected


def test_exceptions_and_warnings_are_lines_too() -> None:
    code = """
warnings.warn("old")
try:
    1 / 0
except ZeroDivisionError:
    ours.exception("caught")
thread = threading.Thread(target=lambda: [][0])
thread.start()
thread.join()
raise KeyError("at the end")
"""
    found = objects(code)
    assert [(line["level"], line["message"].split("\n")[0].split(": ")[-1]) for line in found] == [
        ("warning", "old"),
        ("error", "caught"),
        ("critical", "A thread ends"),
        ("critical", "The process ends"),
    ]
    assert [str(line["exception"]).rpartition("\n")[2] for line in found[1:]] == [
        "ZeroDivisionError: division by zero",
        "IndexError: list index out of range",
        "KeyError: 'at the end'",
    ]


@pytest.mark.parametrize("form", ["json", "text"])
def test_passwords_of_addresses_are_not_logged(form: str) -> None:
    code = """
url = "postgresql+psycopg2://team:s3cret@db:5432/backtest"
ours.warning("cannot reach %s", url)
try:
    raise OSError(url.replace("team", ""))
except OSError:
    ours.exception("failed")
"""
    text = "\n".join(lines(code, form))
    assert "s3cret" not in text
    assert "postgresql+psycopg2://team:***@db:5432/backtest" in text
    assert "postgresql+psycopg2://:***@db:5432/backtest" in text


def test_lines_go_to_the_log_while_stderr_is_captured_and_stderr_follows_the_log_afterwards(tmp_path: Path) -> None:
    log, captured = tmp_path / "worker.log", tmp_path / "step.err"
    code = f"""
import os, time
from pathlib import Path
log = Path({str(log)!r})
configure_logging(LogSettings(file=log), "worker")
stderr, capture = os.dup(2), os.open({str(captured)!r}, os.O_WRONLY | os.O_CREAT)
os.dup2(capture, 2)
ours.info("before the turn")
log.rename(log.with_suffix(".1"))
time.sleep({2 * LOOK_EACH_S})
ours.info("after the turn")
os.write(2, b"of the step\\n")
os.dup2(stderr, 2)
time.sleep({2 * LOOK_EACH_S})
ours.info("after the step")
os.write(2, b"of the process\\n")
"""
    with log.open("ab") as file:
        subprocess.run([sys.executable, "-c", HEAD + code], stdout=file, stderr=file, timeout=30, check=True)
    assert [line.partition(" worker ")[2] or line for line in log.read_text().splitlines()] == [
        "after the turn",
        "after the step",
        "of the process",
    ]
    assert log.with_suffix(".1").read_text().endswith(" worker before the turn\n")
    assert captured.read_text() == "of the step\n"


def test_the_settings_come_from_the_environment() -> None:
    assert log_settings_from({}) == LogSettings("text", None)
    environ = {"BACKTEST_LOG_FORMAT": "json", "BACKTEST_LOG_LEVEL": "debug"}
    assert log_settings_from(environ) == LogSettings("json", "debug")
    with pytest.raises(BadRequestError, match="BACKTEST_LOG_FORMAT: got 'xml'; allowed: text, json"):
        log_settings_from({"BACKTEST_LOG_FORMAT": "xml"})
    with pytest.raises(BadRequestError, match="BACKTEST_LOG_LEVEL: got 'INFO'; allowed: debug, info, warning, error"):
        log_settings_from({"BACKTEST_LOG_LEVEL": "INFO"})
