"""Every block of code is executed: the blocks of a page one after the other, as a reader would type them.

A page that writes the sample market itself starts in an empty folder; any other finds three months of it in
``my-files``, ingested. The pages `WITH_SERVICE` are executed against a running service, in the tests of the client.
What cannot run in a test is marked ``console`` and names targets of the Makefile.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from backtest_pipelines.market.sample import write_sample_market
from backtest_pipelines_tests.cli.conftest import clean_environment
from backtest_pipelines_tests.docs.markdown import DOCS, PROJECT, Block, blocks, pages

EXECUTED = ("bash", "python")
SHOWN = ("console", "text", "json", "csv")
"""Languages of blocks that are not executed: commands of the Makefile, output, and files."""
TESTED_ELSEWHERE = DOCS / "command-line.md"
WITH_SERVICE = tuple(DOCS / "how-to" / f"use-{name}.md" for name in ("the-client", "the-rest-api", "graphql"))
FIRST_DAY, LAST_DAY = date(2024, 6, 3), date(2024, 8, 30)

PAGES = [page for page in pages() if page != TESTED_ELSEWHERE]


def _name(page: Path) -> str:
    return page.relative_to(PROJECT).as_posix()


def _is_executed(page: Path) -> bool:
    return any(block.language in EXECUTED for block in blocks(page))


def _environment(folder: Path) -> dict[str, str]:
    # No Redis answers on port 1: a page finds none unless it starts or names one.
    return clean_environment() | {
        "BACKTEST_HOME": str(folder / "home"),
        "REDIS_PORT": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files ``my-files`` and the home folder that they were ingested into."""
    folder = tmp_path_factory.mktemp("docs")
    write_sample_market(folder / "my-files", first=FIRST_DAY, last=LAST_DAY)
    subprocess.run(
        ["backtest-pipelines", "ingest", "my-files"],
        cwd=folder,
        env=_environment(folder),
        check=True,
        capture_output=True,
        timeout=60,
    )
    return folder


@pytest.mark.parametrize("page", [page for page in PAGES if _is_executed(page) and page not in WITH_SERVICE], ids=_name)
def test_the_blocks_of_a_page_run(page: Path, prepared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    if any("backtest-pipelines sample" in block.text for block in blocks(page)):
        folder.mkdir()
    else:
        shutil.copytree(prepared, folder)
    run_blocks(page, folder, _environment(folder))


def run_blocks(page: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Execute the blocks of a page in a folder."""
    finished = subprocess.run(
        ["bash", "-c", _script(page)],
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]


def _script(page: Path) -> str:
    lines = ["set -eEuo pipefail", "trap 'echo \"the block at $block failed\" >&2' ERR"]
    for block in blocks(page):
        if block.language in EXECUTED:
            lines += [f"block={block.place}", _as_shell(block)]
    return "\n".join(lines)


def _as_shell(block: Block) -> str:
    return block.text if block.language == "bash" else f"python - <<'END_OF_BLOCK'\n{block.text}END_OF_BLOCK"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_a_block_says_how_it_is_read(page: Path) -> None:
    unknown = [block.place for block in blocks(page) if block.language not in (*EXECUTED, *SHOWN)]
    assert unknown == []


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_what_is_not_executed_names_targets_of_the_makefile(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    console = [line for block in blocks(page) if block.language == "console" for line in block.text.splitlines()]
    wrong = [
        line
        for line in console
        if not ((match := re.match(r"(?:[A-Z_]+=\S+ )?make ([a-z]+)", line)) and match[1] in targets)
    ]
    assert wrong == []
