"""The reference of the command line says what the command line does."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backtest_pipelines.cli import entry
from backtest_pipelines_tests.cli.conftest import clean_environment

REFERENCE = Path(__file__).parents[2] / "docs" / "command-line.md"


def section(name: str) -> str:
    text = REFERENCE.read_text()
    start = text.index(f"## `{name}")
    return text[start : text.find("\n## ", start)]


def options(parser: argparse.ArgumentParser) -> set[str]:
    return set(re.findall(r"--[a-z-]+", parser.format_usage())) - {"--home", "--json", "--debug"}


@pytest.mark.parametrize("name", list(entry.COMMANDS))
def test_every_option_of_a_command_is_in_the_reference(name: str) -> None:
    parser = argparse.ArgumentParser(add_help=False)
    entry.COMMANDS[name].configure(parser)
    described = set(re.findall(r"--[a-z-]+", " ".join(re.findall(r"^\| `.*?` \|", section(name), re.MULTILINE))))
    assert described == options(parser)


def test_the_examples_run(market: Path, tmp_path: Path) -> None:
    """The sample is short here: the dates of the examples are moved into it, nothing else is changed."""
    blocks = re.findall(r"```sh\n(.*?)```", REFERENCE.read_text(), re.DOTALL)
    moved = {
        "backtest-pipelines sample market": f"cp -r {market} market",
        "--to-date 2025-06-30": "--to-date 2024-08-05",
    }
    script = "set -e\n" + "".join(blocks)
    for documented, shorter in moved.items():
        assert documented in script
        script = script.replace(documented, shorter)
    commands = tmp_path / "bin"
    commands.mkdir()
    (commands / "backtest-pipelines").write_text(f'#!/bin/sh\nexec {sys.executable} -m backtest_pipelines "$@"\n')
    (commands / "backtest-pipelines").chmod(0o755)
    environment = clean_environment() | {
        "PATH": f"{commands}:{os.environ['PATH']}",
        "PYTHONPATH": str(REFERENCE.parents[1]),
    }
    shell = shutil.which("sh")
    assert shell
    finished = subprocess.run(
        [shell, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "trades.notices.csv").exists()
    assert '"exit_at_expiry": "intrinsic"' in finished.stdout
