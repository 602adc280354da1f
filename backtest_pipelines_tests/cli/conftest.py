from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from backtest_pipelines.cli import main

VARIANT = "call_sell_future_buy_weekly"
DAYS = ("--from-date", "2024-06-17", "--to-date", "2024-08-09")
"""Enough sessions for both file formats and some weekly windows, few enough to be written in two seconds."""


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Finished]


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("BACKTEST_", "REDIS_"))}


def process(*arguments: str | Path, environment: Mapping[str, str] | None = None) -> Finished:
    """Run the command as a new process."""
    finished = subprocess.run(
        [sys.executable, "-m", "backtest_pipelines", *map(str, arguments)],
        env={**clean_environment(), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Finished(finished.returncode, finished.stdout, finished.stderr)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run the command in this process."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)

    def run(*arguments: str | Path) -> Finished:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Finished(code, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "market"
    finished = process("sample", folder, *DAYS)
    assert finished.code == 0, finished.err
    return folder


@pytest.fixture(scope="session")
def home(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder that holds the panels of the market."""
    folder = tmp_path_factory.mktemp("cli_home")
    finished = process("ingest", market, "--home", folder)
    assert finished.code == 0, finished.err
    return folder
