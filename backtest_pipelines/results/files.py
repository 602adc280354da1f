"""Answers in files: the truth that every cache is filled from. One file a fingerprint, written atomically."""

from __future__ import annotations

from pathlib import Path

from backtest_pipelines.atomic import write_atomic
from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.results.codec import require_fingerprint, verify
from backtest_pipelines.results.pruning import NOTED_S
from backtest_pipelines.retention.files import touch


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
        touch(path, NOTED_S)
        return value

    def write(self, fingerprint: str, value: bytes) -> None:
        """Keep the bytes of an answer; readers see the file before or after, never a part of it.

        Raises
        ------
        UnavailableError
            If the folder or the file cannot be written.
        """
        write_atomic(self.path(fingerprint), lambda file: file.write(value))
