"""The command as a process of its own: what it imports, the home folder, terminals and pipes."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from backtest_pipelines_tests.cli.conftest import VARIANT, clean_environment, process

LOADED = """
import sys
from backtest_pipelines.cli import main
code = main(sys.argv[1:])
print(*sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
raise SystemExit(code)
"""


def loaded_by(*arguments: str | Path) -> set[str]:
    """Return the top-level modules that a command loads."""
    finished = subprocess.run(
        [sys.executable, "-c", LOADED, *map(str, arguments)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return set(finished.stderr.split())


def test_run_imports_neither_dagster_nor_pandas_nor_rich(home: Path) -> None:
    loaded = loaded_by("run", VARIANT, "--home", home, "--no-cache")
    assert {"numpy", "pyarrow"} <= loaded
    assert loaded & {"dagster", "pandas", "rich", "typer", "click", "redis", "pydantic", "sqlalchemy"} == set()


def test_strategies_imports_nothing_heavy() -> None:
    assert loaded_by("strategies") & {"numpy", "pyarrow", "dagster", "rich", "sqlite3", "redis"} == set()


def test_the_home_comes_from_the_environment_or_the_option(home: Path, tmp_path: Path) -> None:
    assert process("run", VARIANT, environment={"BACKTEST_HOME": str(home)}).code == 0
    both = process("run", VARIANT, "--home", tmp_path, environment={"BACKTEST_HOME": str(home)})
    assert both.code == 3
    assert str(tmp_path) in both.err


def test_json_is_alone_on_stdout(home: Path) -> None:
    finished = process("run", VARIANT, "--home", home, "--json")
    assert finished.code == 0
    assert finished.json["question"]["variant"] == VARIANT
    assert finished.err == ""


def test_on_a_terminal_tables_are_drawn() -> None:
    reading, writing = pty.openpty()
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "backtest_pipelines", "strategies"],
            env={**clean_environment(), "TERM": "xterm", "COLUMNS": "200"},
            stdout=writing,
            stderr=writing,
        ) as running:
            os.close(writing)
            drawn = b""
            while chunk := _read(reading):
                drawn += chunk
        assert running.returncode == 0
    finally:
        os.close(reading)
    assert b"call_sell_position" in drawn
    assert b"\x1b[" in drawn
    assert "\N{BOX DRAWINGS LIGHT HORIZONTAL}".encode() in drawn


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says so when the other side has closed
        return b""


def test_a_reader_that_goes_away_causes_no_traceback() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "backtest_pipelines", "strategies", "--json"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(timeout=60) == 1
