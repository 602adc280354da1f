"""Files that grow old: found with their size and their age, deleted without harm to whoever uses them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Aged:
    """A file, or a folder with all its files, and how old it is.

    Attributes
    ----------
    path : Path
    bytes : int
    changed_s, touched_s : float
        Seconds since 1970 of the last change of what is in it, and of the last change of what is known about it, which
        no reading or copying of others makes: `touch` does.
    """

    path: Path
    bytes: int
    changed_s: float
    touched_s: float


def aged(paths: Iterable[Path]) -> list[Aged]:
    """Return what is known of the files and folders that are there."""
    found = []
    for path in paths:
        with suppress(FileNotFoundError):  # another process may be deleting them too
            own = path.stat()
            statuses = [file.stat() for file in path.rglob("*") if file.is_file()] if path.is_dir() else [own]
            size = sum(status.st_size for status in statuses)
            changed_s = max(status.st_mtime for status in (own, *statuses))
            touched_s = max(status.st_ctime for status in (own, *statuses))
            found.append(Aged(path, size, changed_s, touched_s))
    return found


def touch(path: Path, at_most_every_s: float) -> None:
    """Note that a file was used, unless that was noted just before; its times of change and access stay."""
    with suppress(OSError):  # read-only, or deleted meanwhile
        status = path.stat()
        if time.time() - status.st_ctime > at_most_every_s:
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def delete(path: Path) -> None:
    """Delete a file, or a folder with all that is in it; one that is gone is no error."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def oldest(times_s: Iterable[float]) -> datetime | None:
    """Return the earliest of times in seconds since 1970, in UTC, or None where there is none."""
    return min((datetime.fromtimestamp(time_s, UTC) for time_s in times_s), default=None)
