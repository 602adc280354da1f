"""The command that prunes a home, beside what Dagster keeps there."""

from __future__ import annotations

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import Execution, ExecutionRecords
from backtest_pipelines.results import pruning
from backtest_pipelines.results.files import AnswerFiles
from backtest_pipelines.retention.limits import DAY_S
from backtest_pipelines.service.supervisor.home import prepare_dagster_home
from backtest_pipelines_tests.cli.conftest import Command
from backtest_pipelines_tests.results.samples import fingerprint, value


@pytest.fixture
def old_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with something old and something new of each kind, and an answer that nobody used for long."""
    home = tmp_path / "home"
    with Database(home / "executions.sqlite") as database:
        for days in (400, 1):
            start = datetime.now(UTC) - timedelta(days=days)
            ExecutionRecords(database).insert(Execution("v", "{}", "NIFTY", "cli", start, 1.0, "completed"))
    AnswerFiles(home / "answers").write(fingerprint(0), value())
    later_s = time.time() + 400 * DAY_S
    monkeypatch.setattr(pruning, "_now_s", lambda: later_s)
    (home / "logs").mkdir()
    for number, days in enumerate((400, 1)):
        log = home / "logs" / f"{number}.log.1"
        log.write_text("words")
        os.utime(log, (time.time() - days * DAY_S,) * 2)
    monkeypatch.setenv("DAGSTER_HOME", str(prepare_dagster_home(settings_from({}, home=home))))
    with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
        instance.add_run(dg.DagsterRun("job", status=dg.DagsterRunStatus.SUCCESS))
    return home


def contents(home: Path) -> dict[str, str]:
    return {
        str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in home.rglob("*")
        if path.is_file()
    }


def test_a_dry_run_changes_no_byte_and_foretells_what_is_done(command: Command, old_home: Path) -> None:
    before = contents(old_home)
    planned = command("prune", "--dry-run", "--json", "--home", old_home)
    assert planned.code == 0, planned.err
    assert contents(old_home) == before
    done = command("prune", "--json", "--home", old_home)
    assert done.code == 0, done.err
    assert (planned.json["dry_run"], done.json["dry_run"]) == (True, False)
    assert done.json["pruned"] == planned.json["pruned"]
    counts = {kind["kind"]: (kind["count"], kind["kept"]) for kind in done.json["pruned"]}
    assert counts == {
        "runs": (0, 1),
        "compute_logs": (0, 0),
        "reports": (0, 0),
        "executions": (1, 1),
        "answers": (1, 0),
        "logs": (1, 1),
    }
    gone = set(before) - set(contents(old_home))
    assert gone == {f"answers/{fingerprint(0)[:2]}/{fingerprint(0)}.answer", "logs/0.log.1"}
    again = command("prune", "--json", "--home", old_home)
    assert [kind["count"] for kind in again.json["pruned"]] == [0] * 6


def test_the_answers_alone_are_pruned_by_the_command_of_the_cache(command: Command, old_home: Path) -> None:
    before = contents(old_home)
    planned = command("cache", "prune", "--dry-run", "--json", "--home", old_home)
    assert contents(old_home) == before
    done = command("cache", "prune", "--json", "--home", old_home)
    assert (planned.code, done.code) == (0, 0), done.err
    assert planned.json["pruned"] == done.json["pruned"]
    assert [(kind["kind"], kind["count"]) for kind in done.json["pruned"]] == [("answers", 1)]
    assert set(before) - set(contents(old_home)) == {f"answers/{fingerprint(0)[:2]}/{fingerprint(0)}.answer"}


def test_limits_of_the_command_win_over_those_of_the_environment(
    command: Command, old_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKTEST_RETENTION", "keep_answers_days=500,keep_executions_days=500,keep_logs_days=500")
    shown = command("prune", "--home", old_home, "--keep-executions-days", "300")
    rows = {line.split()[0]: line.split()[1] for line in shown.out.splitlines()[2:]}
    assert rows == {"runs": "0", "compute": "logs", "reports": "0", "executions": "1", "answers": "0", "logs": "0"}


def test_a_home_where_nothing_is_stays_so(command: Command, tmp_path: Path) -> None:
    done = command("prune", "--json", "--home", tmp_path / "home")
    assert [(kind["kind"], kind["count"]) for kind in done.json["pruned"]] == [
        ("executions", 0),
        ("answers", 0),
        ("logs", 0),
    ]
    assert not (tmp_path / "home").exists()


def test_a_bad_limit_is_refused_before_anything_is_done(command: Command, old_home: Path) -> None:
    before = contents(old_home)
    done = command("prune", "--home", old_home, "--most-runs", "none")
    assert done.code == 2
    assert done.err == "error: most_runs: got 'none'; allowed: a whole number from 1 to 10000000\n"
    assert contents(old_home) == before
