"""The answer to one question: its tables, statistics and provenance, as values in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes
    ----------
    trades : pyarrow.Table
        One row per trade, in order of entry.
    notices : pyarrow.Table
        One row per notice: what was left out or deserves a look, and why.
    equity : pyarrow.Table
        One row per session of the backtest.
    statistics : Mapping[str, int | float | str | None]
        Figures by name. What is undefined is None, never NaN.
    pivot : Mapping[str, Any]
        Profit by year and month, made of what JSON can hold. The order of keys carries no meaning.
    provenance : Mapping[str, Any]
        What the answer was computed from, made of what JSON can hold; has at least "fingerprint" (64
        lower-case hexadecimal digits), "variant" and "symbol".
    """

    trades: pa.Table
    notices: pa.Table
    equity: pa.Table
    statistics: Mapping[str, int | float | str | None]
    pivot: Mapping[str, Any]
    provenance: Mapping[str, Any]

    @property
    def row_count(self) -> int:
        """Number of trades."""
        return int(self.trades.num_rows)
