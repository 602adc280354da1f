"""Answers that are kept, for routes that know their fingerprint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from backtest_pipelines.api.problems import UnknownError

if TYPE_CHECKING:
    from backtest_pipelines.results.answer import Answer

FOR_EVER: Final = "private, max-age=31536000, immutable"
"""Cache-Control of what never changes: a fingerprint never names other bytes, nor an execution another answer."""


def answer_bytes(folder: Path, fingerprint: str) -> bytes:
    """Return the bytes of an answer; to be called in a thread.

    Raises
    ------
    UnknownError
        If none is kept, or it is damaged.
    UnavailableError
        If the file cannot be read.
    """
    # The codec loads Arrow, 35 MB that a process which is never asked for an answer does without.
    from backtest_pipelines.results.files import AnswerFiles  # noqa: PLC0415

    value = AnswerFiles(folder).read_whole(fingerprint)
    if value is None:
        msg = f"no answer {fingerprint} is kept: ask its question again"
        raise UnknownError(msg)
    return value


def answer_of(folder: Path, fingerprint: str) -> Answer:
    """Return an answer; see `answer_bytes`."""
    from backtest_pipelines.results.codec import decode  # noqa: PLC0415

    return decode(answer_bytes(folder, fingerprint))
