"""Answers that are kept, for routes that know their fingerprint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from backtest_pipelines.api.problems import GoneError, UnknownError

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


def answer_of(folder: Path, fingerprint: str, execution_id: int) -> Answer:
    """Return the answer that an execution gave; to be called in a thread.

    Raises
    ------
    GoneError
        If it is not kept any more, or is damaged.
    UnavailableError
        If the file cannot be read.
    """
    from backtest_pipelines.results.codec import CorruptAnswerError, decode  # noqa: PLC0415
    from backtest_pipelines.results.files import AnswerFiles  # noqa: PLC0415

    files = AnswerFiles(folder)
    try:
        value = files.read(fingerprint)
        if value is not None:
            return decode(value)
        what = "was removed, as retention does with answers that were not used for long"
    except CorruptAnswerError as error:
        files.warn_of_damage(fingerprint, error)
        what = "is damaged"
    raise GoneError(
        f"the answer of execution {execution_id} {what}: ask its question again, which computes it; it is also here "
        "again then, unless data or rules have changed since"
    )
