"""The project speaks of itself alone: no path of a machine, no host of a package registry, no issue number."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from backtest_pipelines_tests.docs.markdown import PROJECT, pages

# Written in pieces, so that this file does not name them.
FOLDERS = ("home", "root", "work", "Users", "tmp", "mnt", "opt", "private", "workspace", "data")
ABSOLUTE = re.compile(r"(?<![\w.$}/~)*-])/(?:" + "|".join(FOLDERS) + r")/[\w.-]")
HOSTS = re.compile(
    r"\b(?:" + "|".join(("py" + "pi", "python" + "hosted", "ana" + "conda", "art" + "ifactory")) + r")\.\w"
)
ISSUE = re.compile(r"(?<![\w&(/#])#\d+\b")


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        timeout=30,
    )
    paths = (PROJECT / name.decode() for name in listed.stdout.split(b"\0") if name)
    return [path for path in paths if path.is_file()]


def _found(pattern: re.Pattern[str], paths: list[Path]) -> list[str]:
    found = []
    for path in paths:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        found += [
            f"{path.relative_to(PROJECT)}:{number}: {line.strip()[:120]}"
            for number, line in enumerate(lines, start=1)
            if pattern.search(line)
        ]
    return found


def test_no_path_of_a_machine_is_in_a_file() -> None:
    assert _found(ABSOLUTE, tracked()) == []


def test_no_host_of_a_registry_is_in_a_file() -> None:
    assert _found(HOSTS, tracked()) == []


def test_no_issue_is_named_in_the_docs() -> None:
    assert _found(ISSUE, pages()) == []


@pytest.mark.parametrize("text", ["see /" + "home/me/files", '"/' + 'tmp/x"', "(/" + "Users/me/a"])
def test_a_path_of_a_machine_would_be_found(text: str) -> None:
    assert ABSOLUTE.search(text)


@pytest.mark.parametrize("text", ["docs/data/x.svg", "~/data/a", "$HOME/work/x", "https://host.example/data/file"])
def test_other_paths_are_not_taken_for_one(text: str) -> None:
    assert not ABSOLUTE.search(text)
