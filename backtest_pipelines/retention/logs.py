"""The logs of processes: ``NAME.log``, which its process may have open, and ``NAME.log.1``, the one before it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from backtest_pipelines.retention.files import Aged, aged, delete, oldest
from backtest_pipelines.retention.pruned import Pruned

LARGEST_BYTES: Final = 10 * 1024 * 1024
_LOOKS: Final = 1000
"""Until there is nothing new: a process that writes without a pause is not waited for for ever."""


def turn_over(log: Path, *, is_open: bool) -> None:
    """Make a log of more than `LARGEST_BYTES` the old one, ``NAME.log.1``, of which one is kept.

    Parameters
    ----------
    log : Path
    is_open : bool
        Whether a process has it open that would go on writing to a file that was renamed: then it is copied and
        emptied. It must append. What it writes in the few microseconds between the last look and the emptying
        is lost: no system has one call for both.
    """
    if not log.exists() or log.stat().st_size <= LARGEST_BYTES:
        return
    older = log.with_name(f"{log.name}.1")
    if not is_open:
        log.replace(older)
        return
    with log.open("r+b", buffering=0) as source, older.open("wb") as target:
        for _ in range(_LOOKS):
            while part := source.read(1024 * 1024):
                target.write(part)
            if os.fstat(source.fileno()).st_size == source.tell():
                break
        os.ftruncate(source.fileno(), 0)


def prune_logs(folder: Path, *, older_than_s: float, dry_run: bool = False) -> Pruned:
    """Delete old logs, and empty those that a process may have open, once nothing was written for so long.

    Their size is bounded by `turn_over`.

    Parameters
    ----------
    folder : Path
    older_than_s : float
        Seconds since the last line.
    dry_run : bool
        Change nothing.
    """
    logs = aged([*folder.glob("*.log"), *folder.glob("*.log.1")])
    old = [log for log in logs if log.bytes > 0 and log.changed_s < time.time() - older_than_s]
    if not dry_run:
        for log in old:
            _remove(log)
    gone = {log.path for log in old}
    kept = [log for log in logs if log.path not in gone and log.bytes > 0]
    return Pruned("logs", len(old), sum(log.bytes for log in old), len(kept), oldest(log.changed_s for log in kept))


def _remove(log: Aged) -> None:
    if log.path.suffix == ".log":
        os.truncate(log.path, 0)
    else:
        delete(log.path)
