"""Cells to numbers: columns of text become whole paise, counts, days and codes, or the row is refused.

Here belongs what is true of any column of a kind; which columns a file has is said by its format. Arrays pass between
numpy and Arrow by buffers and DLPack: the first call of ``pyarrow.array`` or ``to_numpy`` imports pandas, a second.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.market.units import PAISE_PER_INR, date_of, day_number
from backtest_pipelines.panel.formats.dates import parse_date
from backtest_pipelines.panel.keys import EXPIRY_MASK, MAX_STRIKE_PAISE

MAX_PRICE_INR: Final = MAX_STRIKE_PAISE // PAISE_PER_INR
MAX_COUNT: Final = 2**31 - 1
MAX_TURNOVER_PAISE: Final = 10**18
_NOISE_PAISE: Final = 1e-6
_EXACT_PAISE: Final = 1e15
"""A product of doubles below it is less than half a paise from the decimal number that was written."""
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rows:
    """Cells of some lines of a file.

    Attributes
    ----------
    name : str
        Name of the file, for messages.
    line : NDArray[np.int64]
        Shape ``(rows,)``: line of each row in the file, the header being 1.
    cells : Mapping[str, pyarrow.StringArray]
        By column name, each of shape ``(rows,)``, null where empty.
    """

    name: str
    line: NDArray[np.int64]
    cells: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.line)

    def where(self, mask: NDArray[np.bool_]) -> Rows:
        """Keep the rows where `mask`, of shape ``(rows,)``, is true."""
        if mask.all():
            return self
        kept = row_numbers(np.flatnonzero(mask))
        return Rows(self.name, self.line[mask], {name: cells.take(kept) for name, cells in self.cells.items()})

    def cell(self, column: str, row: int) -> str:
        """Give one cell without the space around it."""
        return (self.cells[column][row].as_py() or "").strip()

    def refuse(self, row: int | np.integer[Any], reason: str) -> NoReturn:
        """Raise BadDataError for a row."""
        raise BadDataError(self.name, reason, int(self.line[row]))

    def refuse_first(self, bad: NDArray[np.bool_], column: str, reason: str) -> None:
        """Raise BadDataError for the first row where `bad` is true, if any, naming the cell's value."""
        if bad.any():
            row = int(bad.argmax())
            self.refuse(row, f"{column} {self.cell(column, row)!r} {reason}")


def row_numbers(number: NDArray[np.int64]) -> pa.Array:
    """Give numpy integers to Arrow."""
    return pa.Array.from_buffers(pa.int64(), len(number), [None, pa.py_buffer(number)])


def codes(rows: Rows, column: str) -> tuple[NDArray[np.int32], list[str]]:
    """Encode a column of few different texts.

    Returns
    -------
    codes : NDArray[np.int32]
        Shape ``(rows,)``, indices into `values`.
    values : list[str]
        The texts in the order of their first rows, without the space around them.
    """
    encoded = rows.cells[column].dictionary_encode(null_encoding="encode")
    return np.asarray(np.from_dlpack(encoded.indices), np.int32), [
        (text or "").strip() for text in encoded.dictionary.to_pylist()
    ]


def looked_up(rows: Rows, column: str, meaning: Mapping[str, int], *, unknown: int | None = None) -> NDArray[np.int64]:
    """Translate texts to numbers.

    Parameters
    ----------
    rows, column
        The cells.
    meaning : Mapping[str, int]
        Number of each text that is allowed.
    unknown : int, optional
        Number of every other text. Without it such a text is refused.

    Raises
    ------
    BadDataError
        A text that is not in `meaning`.
    """
    code, values = codes(rows, column)
    for index, value in enumerate(values):
        if unknown is None and value not in meaning:
            allowed = ", ".join(known or "empty" for known in meaning)
            rows.refuse_first(code == index, column, f"is unknown; allowed: {allowed}")
    return np.array([meaning.get(value, unknown) for value in values], np.int64)[code]


def days(rows: Rows, column: str, *, day_first: bool = False) -> NDArray[np.int32]:
    """Read dates, see `parse_date`, as days since 1970-01-01.

    Raises
    ------
    BadDataError
        A cell that is no date, or one that the panel's keys cannot hold.
    """
    code, values = codes(rows, column)
    found: list[int] = []
    for index, value in enumerate(values):
        day = parse_date(value, day_first=day_first)
        if day is None:
            form = "18-03-2021, 2021-03-18" if day_first else "2021-03-18"
            rows.refuse_first(code == index, column, f"is no date; write {form} or 18-Mar-2021")
        else:
            found.append(day_number(day))
    number = np.array(found, np.int32)[code]
    last = date_of(EXPIRY_MASK)
    rows.refuse_first((number < 0) | (number > EXPIRY_MASK), column, f"is outside 1970-01-01 to {last}")
    return number


def single_day(rows: Rows, column: str, *, day_first: bool = False) -> int:
    """Read the one date that all rows share, as days since 1970-01-01.

    Raises
    ------
    BadDataError
        A cell that is no date, or another date than the first row's.
    """
    day = days(rows, column, day_first=day_first)
    first = date_of(day[0])
    reason = f"differs from {first} in line {rows.line[0]}; a file holds one session"
    rows.refuse_first(day != day[0], column, reason)
    return int(day[0])


def prices_paise(rows: Rows, column: str, *, missing: int | None = None) -> NDArray[np.int64]:
    """Read prices in INR as whole paise.

    Parameters
    ----------
    rows, column
        The cells.
    missing : int, optional
        Value of an empty cell. Without it an empty cell is refused.

    Raises
    ------
    BadDataError
        A cell that is no number, below 0, above ``MAX_PRICE_INR``, or finer than a paise by more than the
        noise of floating point (1e-6 paise).
    """
    inr, is_empty = _numbers(rows, column, missing_allowed=missing is not None)
    rows.refuse_first(inr > MAX_PRICE_INR, column, f"is above the largest price, {MAX_PRICE_INR} INR")
    scaled = inr * PAISE_PER_INR
    paise = np.rint(scaled)
    rows.refuse_first(np.abs(scaled - paise) > _NOISE_PAISE, column, "is finer than a paise (0.01 INR)")
    return _whole(paise, is_empty, missing)


def counts(rows: Rows, column: str) -> NDArray[np.int64]:
    """Read whole numbers such as ``123`` or ``123.0``.

    Raises
    ------
    BadDataError
        A cell that is no number, below 0, above ``MAX_COUNT`` or not whole.
    """
    value, is_empty = _numbers(rows, column, missing_allowed=False)
    rows.refuse_first(value > MAX_COUNT, column, f"is above the largest count, {MAX_COUNT}")
    rows.refuse_first(value != np.rint(value), column, "is not a whole number")
    return _whole(value, is_empty, None)


def turnover_paise(rows: Rows, column: str, paise_per_unit: int) -> NDArray[np.int64]:
    """Read turnover as paise, rounded to the nearest one.

    Parameters
    ----------
    rows, column
        The cells.
    paise_per_unit : int
        100 where the file counts in INR, 10,000,000 where it counts in lakh.

    Raises
    ------
    BadDataError
        A cell that is no number, below 0, or above 10**16 INR.
    """
    value, is_empty = _numbers(rows, column, missing_allowed=False)
    scaled = value * paise_per_unit
    limit = f"is above the largest turnover, {MAX_TURNOVER_PAISE // PAISE_PER_INR} INR"
    rows.refuse_first(scaled > MAX_TURNOVER_PAISE, column, limit)
    paise = _whole(np.rint(scaled), is_empty, None)
    for row in np.flatnonzero(scaled > _EXACT_PAISE):
        paise[row] = round(Decimal(rows.cell(column, int(row))) * paise_per_unit)
    return paise


def _whole(value: NDArray[np.float64], is_empty: NDArray[np.bool_], missing: int | None) -> NDArray[np.int64]:
    if missing is None:
        return value.astype(np.int64)
    return np.where(is_empty, missing, value).astype(np.int64)


def _numbers(rows: Rows, column: str, *, missing_allowed: bool) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Read numbers of 0 or more; an empty cell is NaN and marked in the second array."""
    cells = rows.cells[column]
    try:
        number = pc.cast(cells, pa.float64())
        is_empty = np.from_dlpack(number.is_null().cast(pa.uint8())) != 0
        read = np.frombuffer(number.buffers()[1], np.float64)[number.offset : number.offset + len(number)]
        value = np.where(is_empty, math.nan, read)
    except pa.ArrowInvalid:
        value = np.array([_number(rows, column, row) for row in range(len(rows))])
        is_empty = np.isnan(value)
    if not missing_allowed:
        rows.refuse_first(is_empty, column, "is empty where a number is needed")
    rows.refuse_first(~(np.isfinite(value) | is_empty), column, "is not a number")
    rows.refuse_first(value < 0, column, "is below 0")
    return value, is_empty


def _number(rows: Rows, column: str, row: int) -> float:
    text = rows.cell(column, row)
    if text and not _NUMBER.fullmatch(text):
        rows.refuse(row, f"{column} {text!r} is not a number")
    return float(text) if text else math.nan
