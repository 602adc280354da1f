"""What a command does with an answer: write its trades where ``--output`` says, and show the summary."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen
    from backtest_pipelines.results.answer import Answer


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the file."""
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the trades: .csv, .json or .parquet by the ending"
    )


def check_output(output: Path | None) -> None:
    """Refuse a file that could not be written, before any work is done.

    Raises
    ------
    BadRequestError
        Naming the file and what is allowed.
    """
    if output is not None:
        from backtest_pipelines.results.exports import check_export_path  # noqa: PLC0415 - slow to import

        check_export_path(output)


def show_answer(
    answer: Answer, execution: Mapping[str, object], source: str, output: Path | None, screen: Screen
) -> None:
    """Write the trades where wanted, and show the summary.

    Parameters
    ----------
    answer : Answer
    execution : Mapping of str to value
        What the JSON says of how the answer came about.
    source : str
        The same, for people.
    output : Path or None
        Where the trades are written.
    screen : Screen
    """
    from backtest_pipelines.cli import summary  # noqa: PLC0415 - slow to import
    from backtest_pipelines.results.exports import export  # noqa: PLC0415

    exported = None if output is None else export(answer, output)
    if screen.as_json:
        screen.json({**execution, **summary.content(answer, exported)})
    else:
        screen.pairs("Backtest", summary.lines(answer, source, exported))
