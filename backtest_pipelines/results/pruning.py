"""Which answer files are deleted: those not used for long, and the least recently used beyond a total size."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from backtest_pipelines.atomic import TEMPORARY_SUFFIX
from backtest_pipelines.retention.files import Aged, aged, delete, oldest
from backtest_pipelines.retention.limits import IN_USE_S
from backtest_pipelines.retention.pruned import Pruned

NOTED_S: Final = 600.0
"""A read is noted when the last one was noted longer ago, in seconds."""


def prune_answers(
    folder: Path, *, older_than_s: float, most_bytes: int, in_use_s: float = IN_USE_S, dry_run: bool = False
) -> Pruned:
    """Delete the answer files that were not used for long, then the least recently used until the rest is small enough.

    Whoever asks again computes again. A file that a writer left unfinished is deleted too.

    Parameters
    ----------
    folder : Path
        That of `AnswerFiles`.
    older_than_s : float
        Seconds since the last use.
    most_bytes : int
        Of all files together.
    in_use_s : float
        What was written or read so recently is kept in any case. At least as long as an answer stays in Redis, so
        that none is there without its file.
    dry_run : bool
        Change nothing.
    """
    now_s = _now_s()
    in_use_s += NOTED_S
    files = sorted(aged(_files(folder)), key=lambda file: (file.touched_s, file.path))
    total_bytes = sum(file.bytes for file in files)
    pruned: list[Aged] = []
    for file in files:
        unused_s = now_s - file.touched_s
        if unused_s <= in_use_s:
            break
        if unused_s > older_than_s or total_bytes > most_bytes or file.path.suffix == TEMPORARY_SUFFIX:
            pruned.append(file)
            total_bytes -= file.bytes
    if not dry_run:
        pruned = [file for file in pruned if _delete_unused(file)]
    gone = {file.path for file in pruned}
    kept = [file for file in files if file.path not in gone]
    return Pruned(
        "answers", len(pruned), sum(file.bytes for file in pruned), len(kept), oldest(file.touched_s for file in kept)
    )


def _files(folder: Path) -> list[Path]:
    return [path for kind in ("*.answer", f".*{TEMPORARY_SUFFIX}") for path in folder.glob(f"[0-9a-f][0-9a-f]/{kind}")]


def _delete_unused(file: Aged) -> bool:
    """Delete a file unless it was used since it was looked at; return whether it is gone."""
    now = aged([file.path])
    if now and now[0].touched_s > file.touched_s:
        return False
    delete(file.path)
    return True


def _now_s() -> float:
    return time.time()
