"""The end of a process's log, for errors."""

from __future__ import annotations

from pathlib import Path

TAIL_LINES = 12
_TAIL_BYTES = 16 * 1024


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    if not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-TAIL_LINES:])
