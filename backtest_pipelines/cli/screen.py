"""What the user sees: tables on a terminal, plain columns in a pipe, JSON on request, progress on stderr.

With ``--json`` nothing but one JSON value goes to stdout. Rich is imported only where something is drawn on a
terminal.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

OnStep = Callable[[int, int], None]
"""Called with how many steps are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Where a command prints.

    Attributes
    ----------
    as_json : bool
        Whether ``--json`` was given.
    """

    as_json: bool

    def json(self, value: object) -> None:
        """Print one JSON value on stdout."""
        print(json.dumps(value, indent=2, allow_nan=False))  # noqa: T201 - this is the command's output

    def line(self, text: str) -> None:
        """Print a line on stdout."""
        print(text)  # noqa: T201 - this is the command's output

    def message(self, text: str) -> None:
        """Print a line on stderr."""
        print(text, file=sys.stderr)  # noqa: T201 - this is the command's output

    def pairs(self, title: str, pairs: Mapping[str, str]) -> None:
        """Print names and values, one pair a line."""
        self.table(title, (), pairs.items())

    def table(self, title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
        """Print a table; without column names it has no head."""
        head, body = tuple(columns), [tuple(row) for row in rows]
        if sys.stdout.isatty():
            _draw(title, head, body)
            return
        self.line(title)
        for cells in _aligned([head, *body] if head else body):
            self.line(cells)

    @contextlib.contextmanager
    def progress(self, description: str) -> Iterator[OnStep]:
        """Show a progress bar on stderr while the block runs, where stderr is a terminal."""
        if not sys.stderr.isatty():
            yield lambda _done, _total: None
            return
        from rich.console import Console  # noqa: PLC0415 - slow to import, drawn on a terminal only
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(description, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)


def _draw(title: str, head: tuple[str, ...], body: list[tuple[str, ...]]) -> None:
    from rich import box  # noqa: PLC0415 - slow to import, drawn on a terminal only
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE, show_header=bool(head))
    for name in head or ("",) * max(map(len, body), default=0):
        table.add_column(name, overflow="fold")
    for row in body:
        table.add_row(*row)
    Console(markup=False, highlight=False, emoji=False).print(table)


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield ("  " + "  ".join(cells)).rstrip()
