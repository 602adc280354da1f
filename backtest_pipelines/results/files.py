"""Answers in files: the truth that every cache is filled from. One file a fingerprint, written atomically."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.results.codec import require_fingerprint, verify


class AnswerFiles:
    """A folder of answers, in sub-folders by the first two digits of the fingerprint.

    Safe for many writers: equal fingerprints have equal bytes, and the last rename wins.

    Parameters
    ----------
    folder : Path
        Created at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, fingerprint: str) -> Path:
        """Return where the answer is kept, whether it is there or not."""
        return self.folder / require_fingerprint(fingerprint)[:2] / f"{fingerprint}.answer"

    def read(self, fingerprint: str) -> bytes | None:
        """Return the verified bytes of an answer, or None when it was never kept.

        Raises
        ------
        CorruptAnswerError
            If the file does not hold that answer undamaged.
        UnavailableError
            If the file cannot be read.
        """
        path = self.path(fingerprint)
        try:
            value = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(f"the answer file {path} cannot be read: {error}") from error
        verify(value, fingerprint)
        return value

    def write(self, fingerprint: str, value: bytes) -> None:
        """Keep the bytes of an answer; readers see the file before or after, never a part of it.

        Raises
        ------
        UnavailableError
            If the folder or the file cannot be written.
        """
        path = self.path(fingerprint)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _replace(path, value)
        except OSError as error:
            raise UnavailableError(
                f"the answer file {path} cannot be written: {error}; check its permissions and free space"
            ) from error


def _replace(path: Path, value: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.stem[:16]}-", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(value)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
