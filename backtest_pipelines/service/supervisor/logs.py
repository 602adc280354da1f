"""The logs of the processes: one file each, appended to, turned over when it has grown large."""

from __future__ import annotations

from pathlib import Path

LARGEST_BYTES = 10 * 1024 * 1024
TAIL_LINES = 12
_TAIL_BYTES = 16 * 1024


def turn_over(log: Path) -> None:
    """Make a large log the old one, ``NAME.log.1``, of which one is kept. Called before its process starts."""
    if log.exists() and log.stat().st_size > LARGEST_BYTES:
        log.replace(log.with_name(f"{log.name}.1"))


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-TAIL_LINES:])
