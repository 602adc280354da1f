"""What was pruned, or would be, as commands show it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen
    from backtest_pipelines.retention.pruned import Pruned

COLUMNS = ("what", "pruned", "MB", "kept", "oldest kept (UTC)")


def show_pruned(pruned: Sequence[Pruned], screen: Screen, *, dry_run: bool) -> None:
    """Show a row of each kind."""
    if screen.as_json:
        screen.json({"dry_run": dry_run, "pruned": [kind.content() for kind in pruned]})
    else:
        screen.table("Would be pruned" if dry_run else "Pruned", COLUMNS, map(_cells, pruned))


def _cells(pruned: Pruned) -> tuple[str, ...]:
    oldest = "-" if pruned.oldest_kept is None else f"{pruned.oldest_kept:%Y-%m-%d %H:%M:%S}"
    kind = pruned.kind.replace("_", " ")
    return kind, str(pruned.count), f"{pruned.bytes / 1e6:.1f}", str(pruned.kept), oldest
