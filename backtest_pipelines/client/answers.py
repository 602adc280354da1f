"""The answer to a job, read from the bytes that the service keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.codec import decode, verify

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Result(Answer):
    """An answer as the client gives it: its tables, statistics, pivot and provenance."""

    @property
    def fingerprint(self) -> str:
        """Identity of the answer."""
        return str(self.provenance["fingerprint"])

    def to_pandas(self) -> pd.DataFrame:
        """Return the trades as a DataFrame: one row a trade, in order of entry."""
        trades: pd.DataFrame = self.trades.to_pandas()
        return trades


def result_from(value: bytes, fingerprint: str) -> Result:
    """Return the result in an answer's bytes.

    Raises
    ------
    CorruptAnswerError
        If the bytes are damaged, or another answer's.
    """
    verify(value, fingerprint)
    return Result(**vars(decode(value)))
