"""Writing a file so that a reader sees the old content or the new, never a part, whenever the writer is killed."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from backtest_pipelines.errors import UnavailableError

TEMPORARY_SUFFIX = ".tmp"


def write_atomic(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file through a temporary one in the same folder, flushed to disk, then renamed over the old one.

    Parameters
    ----------
    path : Path
        The folder is created where it is missing, readable by its owner alone.
    write : callable
        Is given the open temporary file.

    Raises
    ------
    UnavailableError
        If the file system refuses (full, read-only, no permission).
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=TEMPORARY_SUFFIX, dir=path.parent)
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be written: {error}") from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise UnavailableError(f"{path}: cannot be written: {error}") from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Flush a folder's list of names to disk, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
