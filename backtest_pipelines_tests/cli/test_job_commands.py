"""The commands that ask a running service."""

from __future__ import annotations

import errno
import json
import os
import pty
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backtest_pipelines.executions.execute import Executed, execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines_tests.cli.conftest import VARIANT, Command, Finished, clean_environment, process
from backtest_pipelines_tests.cli.test_process import _read, loaded_by
from backtest_pipelines_tests.client.stand_in import (
    CANCELLED,
    FAILED,
    RUNNING,
    WAITING,
    Service,
    completed,
    stand_in,
)


@pytest.fixture(scope="module")
def executed(home: Path) -> Executed:
    """An answer with costs."""
    with Workspace(Settings(home, home, redis=None)) as workspace:
        return execute(ExecutionRequest(VARIANT, costs=True), workspace)


@pytest.fixture
def service(executed: Executed) -> Iterator[Service]:
    """A service whose jobs are queued, then running, then have the answer."""
    with stand_in() as running:
        running.course = [WAITING, RUNNING, completed(executed.fingerprint)]
        running.answers[executed.fingerprint] = executed.encoded
        yield running


@pytest.fixture
def ask(command: Command, service: Service, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run a command with the service's address in the environment."""

    def run(*arguments: str | Path) -> Finished:
        monkeypatch.setenv("BACKTEST_API_URL", service.url)
        return command(*arguments)

    return run


def test_submit_prints_the_id_alone_and_sends_the_whole_question(
    service: Service, ask: Command, tmp_path: Path
) -> None:
    (tmp_path / "phases.csv").write_text("start,end\n2024-06-17,2024-06-28\n")
    options = (
        "--symbol BANKNIFTY --set call_sell_position=1.0 --set spot_adjustment_type=3 --from-date 2024-06-17 "
        "--to-date 2024-08-09 --exit-at-expiry intrinsic --costs --brokerage 15 --no-cache --request-id mine"
    )
    finished = ask("submit", VARIANT, *options.split(), "--phases", tmp_path / "phases.csv")
    assert (finished.code, finished.out, finished.err) == (0, "job-1\n", "")
    assert service.bodies == [
        {
            "variant": VARIANT,
            "symbol": "BANKNIFTY",
            "parameters": {"call_sell_position": "1.0", "spot_adjustment_type": "3"},
            "from_date": "2024-06-17",
            "to_date": "2024-08-09",
            "phases": [["2024-06-17", "2024-06-28"]],
            "exit_at_expiry": "intrinsic",
            "costs": True,
            "brokerage_inr_per_order": "15",
            "use_cache": False,
            "request_id": "mine",
        }
    ]
    assert ask("submit", VARIANT, *options.split(), "--phases", tmp_path / "phases.csv").out == "job-1\n"


def test_submit_and_wait_shows_what_run_shows(ask: Command, home: Path) -> None:
    waited = ask("submit", VARIANT, "--costs", "--wait", "--json")
    assert waited.code == 0, waited.err
    assert waited.err == "job job-1\n"
    ran = ask("run", VARIANT, "--costs", "--home", home, "--json").json
    how = {"job_id": "job-1", "execution_id": 7, "attempts": 1, "duration_ms": 4.25}
    assert waited.json == {
        **{name: value for name, value in ran.items() if name not in ("execution_id", "cached", "tier", "duration_ms")},
        **how,
    }


def test_result_writes_the_same_files_as_run(ask: Command, home: Path, tmp_path: Path) -> None:
    ask("submit", VARIANT, "--costs", "--wait")
    finished = ask("result", "job-1", "--output", tmp_path / "remote.csv")
    assert finished.code == 0, finished.err
    assert "job job-1, in 4.2 ms" in finished.out
    ask("run", VARIANT, "--costs", "--home", home, "--output", tmp_path / "local.csv")
    for ending in (".csv", ".notices.csv"):
        assert (tmp_path / f"remote{ending}").read_bytes() == (tmp_path / f"local{ending}").read_bytes()


def test_a_bad_output_is_refused_before_the_service_is_asked(service: Service, ask: Command) -> None:
    refused = ask("result", "job-1", "--output", "x.xls")
    assert refused.code == 2
    assert service.asked.total() == 0


def test_job_shows_each_part_as_text_and_as_json(ask: Command) -> None:
    ask("submit", VARIANT, "--request-id", "mine")
    waiting = ask("job", "job-1").out
    for shown in ("job-1", "queued", "0%", VARIANT, "NIFTY", "2026-01-02 03:04:05 UTC", "mine"):
        assert shown in waiting
    assert ask("job", "job-1", "--json").json["state"] == "running"
    done = ask("job", "job-1", "--json").json
    assert (done["status"], done["row_count"], done["error"]) == ("completed", 3, None)
    assert done["submitted_at"] == "2026-01-02T03:04:05+00:00"
    assert "4.2 ms" in ask("job", "job-1").out


def test_jobs_are_listed_the_newest_first_and_can_be_narrowed(service: Service, ask: Command) -> None:
    ask("submit", VARIANT)
    ask("submit", "call_sell_future_buy_t1")
    service.jobs["job-1"] |= FAILED
    listed = ask("jobs").out
    assert listed.index("job-2") < listed.index("job-1")
    assert "MissingDataError" in listed
    assert [job["job_id"] for job in ask("jobs", "--status", "failed", "--json").json["jobs"]] == ["job-1"]
    assert [job["job_id"] for job in ask("jobs", "--limit", "1", "--json").json["jobs"]] == ["job-2"]
    assert [job["job_id"] for job in ask("jobs", "--variant", VARIANT, "--json").json["jobs"]] == ["job-1"]


def test_cancel_says_how_the_job_stands(ask: Command) -> None:
    ask("submit", VARIANT)
    assert ask("cancel", "job-1").out == "job job-1 is cancelled\n"
    assert ask("cancel", "job-1", "--json").json["error"]["type"] == "cancelled"
    unfinished = ask("result", "job-1")
    assert (unfinished.code, unfinished.err) == (1, "error: job job-1 was cancelled\n")


def test_a_finished_job_is_not_cancelled(ask: Command) -> None:
    ask("submit", VARIANT, "--wait")
    refused = ask("cancel", "job-1")
    assert refused.code == 2
    assert "job_id: got 'job-1'; allowed: a job that has not ended" in refused.err


def test_logs_are_printed_line_by_line_and_followed_to_the_end(service: Service, ask: Command) -> None:
    ask("submit", VARIANT)
    service.log = [("started", "INFO"), ("slow", "WARNING"), ("done", "INFO")]
    followed = ask("logs", "job-1", "--follow")
    assert followed.code == 0, followed.err
    assert [line.split(" ", 2)[2] for line in followed.out.splitlines()] == [
        "INFO: started",
        "WARNING: slow",
        "INFO: done",
    ]
    listed = ask("logs", "job-1", "--json").json
    assert [line["message"] for line in listed["lines"]] == ["started", "slow", "done"]
    assert listed["lines"][0]["at"].endswith("+00:00")


@pytest.mark.parametrize("name", ["job", "result", "cancel", "logs"])
def test_an_unknown_id_exits_2_and_says_so(ask: Command, name: str) -> None:
    finished = ask(name, "nothing")
    assert finished.code == 2
    assert finished.err == "error: job_id: got 'nothing'; allowed: the id of a job that the service still knows\n"
    assert ask(name, "nothing", "--json").json["error"]["type"] == "UnknownJobError"


def test_a_bad_question_exits_2_with_the_words_of_the_service(ask: Command) -> None:
    finished = ask("submit", "unknown")
    assert (finished.code, finished.err) == (
        2,
        "error: variant: got 'unknown'; allowed: call_sell_future_buy_weekly\n",
    )


@pytest.mark.parametrize(
    ("ending", "words"), [(FAILED, "failed: MissingDataError: NIFTY"), (CANCELLED, "was cancelled")]
)
def test_a_job_that_gives_no_answer_exits_1(
    service: Service, ask: Command, ending: dict[str, object], words: str
) -> None:
    service.course = [ending]
    finished = ask("submit", VARIANT, "--wait")
    assert finished.code == 1
    assert f"error: job job-1 {words}" in finished.err


def test_a_wait_that_takes_too_long_exits_1_and_names_the_job(service: Service, ask: Command) -> None:
    service.course = [RUNNING]
    finished = ask("submit", VARIANT, "--wait", "--timeout", "0.1")
    assert finished.code == 1
    assert finished.err == "job job-1\nerror: job job-1 is running after 0.1 s; it goes on\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("submit", VARIANT, "--timeout", "5"), "--timeout: got '5'; allowed: only with --wait"),
        (("submit", VARIANT, "--wait", "--timeout", "soon"), "--timeout: got 'soon'; allowed: seconds"),
        (("submit", VARIANT, "--wait", "--timeout", "-1"), "--timeout: got '-1'; allowed: seconds"),
        (("submit", VARIANT, "--set", "x"), "--set: got 'x'; allowed: NAME=VALUE"),
        (("jobs", "--limit", "many"), "limit: got 'many'; allowed: a whole number"),
        (("job", "job-1", "--url", "here"), "url: got 'here'; allowed: an address"),
    ],
)
def test_a_wrong_command_line_is_refused(ask: Command, arguments: tuple[str, ...], message: str) -> None:
    finished = ask(*arguments)
    assert (finished.code, finished.out) == (2, "")
    assert message in finished.err


def test_a_service_that_does_not_run_is_said_soon_with_what_to_do(command: Command) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        start = time.monotonic()
        finished = command("jobs", "--url", url)
    assert time.monotonic() - start < 3
    assert finished.code == 1
    refused = f"[Errno {errno.ECONNREFUSED}] Connection refused"
    told = f"error: no service answers at {url} ({refused}); start it: backtest-pipelines up"
    assert finished.err == f"{told}\n"


def processor_s(*arguments: str) -> float:
    """Return what a command takes of a processor: on an idle one also its time, whatever else runs meanwhile."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert process(*arguments).code == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_job_takes_less_than_1_s_of_a_processor_and_imports_nothing_heavy(service: Service) -> None:
    process("submit", VARIANT, "--url", service.url)
    loaded = loaded_by("job", "job-1", "--url", service.url)
    heavy = {
        "numpy",
        "pyarrow",
        "pandas",
        "dagster",
        "pydantic",
        "sqlite3",
        "psycopg2",
        "redis",
        "psutil",
    }
    assert loaded & heavy == set()
    assert any(processor_s("job", "job-1", "--url", service.url) < 1 for _ in range(5))


def test_on_a_terminal_waiting_shows_a_bar(service: Service) -> None:
    reading, writing = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "backtest_pipelines", "submit", VARIANT, "--wait", "--json", "--url", service.url],
            env={**clean_environment(), "TERM": "xterm", "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            stderr=writing,
        ) as running:
            os.close(writing)
            assert running.stdout is not None
            content = json.load(running.stdout)
            drawn = b""
            while chunk := _read(reading):
                drawn += chunk
        assert running.returncode == 0
    finally:
        os.close(reading)
    assert content["job_id"] == "job-1"
    assert b"job job-1" in drawn
    assert f"{VARIANT} NIFTY, percent".encode() in drawn
