"""Answers in files: the truth that every cache is filled from. One file a fingerprint, written atomically."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from backtest_pipelines.atomic import write_atomic
from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.results.codec import CorruptAnswerError, question_inside, require_fingerprint, verify
from backtest_pipelines.results.pruning import NOTED_S
from backtest_pipelines.retention.files import touch

logger = logging.getLogger(__name__)


class FileEntry(NamedTuple):
    """An answer file.

    Attributes
    ----------
    variant, symbol : str
    kept_s : float
        When it was written last, in seconds since 1970.
    """

    variant: str
    symbol: str
    kept_s: float


class AnswerFiles:
    """A folder of answers, in sub-folders by the first two digits of the fingerprint.

    Safe for many writers: equal fingerprints have equal bytes, and the last rename wins. An answer was kept when its
    file was modified.

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
        found = self.read_with_time(fingerprint)
        return None if found is None else found[0]

    def read_whole(self, fingerprint: str) -> bytes | None:
        """Return the same, where a damaged file counts as none, with a warning.

        Raises
        ------
        UnavailableError
            If the file cannot be read.
        """
        try:
            return self.read(fingerprint)
        except CorruptAnswerError as error:
            self.warn_of_damage(fingerprint, error)
            return None

    def warn_of_damage(self, fingerprint: str, error: CorruptAnswerError) -> None:
        """Say that a file is damaged, and that its answer counts as one that was never kept."""
        logger.warning("damaged answer file %s, treated as absent: %s", self.path(fingerprint), error)

    def read_with_time(self, fingerprint: str) -> tuple[bytes, float] | None:
        """Return the same, and when it was kept, in seconds since 1970.

        Raises
        ------
        CorruptAnswerError, UnavailableError
            As `read`.
        """
        path = self.path(fingerprint)
        try:
            with path.open("rb", buffering=0) as file:  # both of one file, though it be replaced meanwhile
                value, kept_s = file.read(), os.fstat(file.fileno()).st_mtime
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnavailableError(f"the answer file {path} cannot be read: {error}") from error
        verify(value, fingerprint)
        touch(path, NOTED_S)
        return value, kept_s

    def write(self, fingerprint: str, value: bytes, kept_s: float | None = None) -> None:
        """Keep the bytes of an answer; readers see the file before or after, never a part of it.

        Parameters
        ----------
        fingerprint : str
        value : bytes
        kept_s : float, optional
            When it is kept, in seconds since 1970, by the clock that invalidations go by; by default this machine's.

        Raises
        ------
        UnavailableError
            If the folder or the file cannot be written.
        """
        time_s = time.time() if kept_s is None else kept_s

        def write(file: IO[bytes]) -> None:
            file.write(value)
            file.flush()
            # The time that the system would note is up to 10 ms late, and another machine's where the folder is shared.
            os.utime(file.fileno(), (time_s, time_s))

        write_atomic(self.path(fingerprint), write)

    def entries(self) -> Iterator[FileEntry]:
        """Yield the answer files, by their header: no checksum is made. What has no proper header is left out."""
        for path in self.folder.glob("??/*.answer"):
            try:
                with path.open("rb") as file:
                    kept_s = os.fstat(file.fileno()).st_mtime
                    yield FileEntry(*question_inside(file), kept_s)
            except FileNotFoundError:
                continue  # pruned meanwhile
            except (OSError, CorruptAnswerError) as error:
                logger.warning("answer file %s, not counted: %s", path, error)
