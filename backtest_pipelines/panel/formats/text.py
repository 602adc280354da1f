"""Lines of a CSV text: header, line bounds, and the cells of the lines that are wanted.

A derivatives file has some 35,000 lines of which a tenth is of use, so the wanted lines are found among the
raw bytes and only they are parsed. Everything large is done by numpy and Arrow, which let other threads run
meanwhile. What a cell means does not belong here.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.panel.formats.columns import Rows, row_numbers

_BOM = b"\xef\xbb\xbf"
_BLOCK_BYTES = 1 << 18
_IS_ALPHANUMERIC = np.array([bytes([byte]).isalnum() for byte in range(256)])


@dataclass(frozen=True)
class CsvText:
    """A CSV text, split at its line ends.

    Attributes
    ----------
    name : str
        Name of the file, for messages.
    data : bytes
        ASCII or UTF-8, lines ended by LF or CRLF.
    start : NDArray[np.int32]
        Shape ``(lines + 1,)``: where each line starts, and where the last one ends. Line 0 is the header;
        blank lines at the end are left out.
    """

    name: str
    data: bytes
    start: NDArray[np.int32]

    @property
    def line_count(self) -> int:
        """Lines, the header included."""
        return len(self.start) - 1

    @cached_property
    def header(self) -> tuple[str, ...]:
        """Column names, without space around them; unnamed columns are empty."""
        line = self.data[: self.start[1]].decode()
        try:
            return tuple(name.strip() for name in next(csv.reader([line]), []))
        except csv.Error as error:
            raise BadDataError(self.name, f"the header cannot be read as CSV: {error}", 1) from error

    def lines_with_ending(self, word: bytes) -> NDArray[np.int64]:
        """Give the numbers of the lines that have a word with this ending, counted from 0, in order."""
        byte = np.frombuffer(self.data, np.uint8)
        last = len(word) - 1
        end = _positions(self.data, word[last])
        end = end[np.searchsorted(end, last) :]
        for offset in range(last):
            end = end[byte[end - last + offset] == word[offset]]
        goes_on = _IS_ALPHANUMERIC[byte[np.minimum(end + 1, len(byte) - 1)]] & (end + 1 < len(byte))
        end = end[~goes_on]
        line = np.searchsorted(self.start, end, side="right") - 1
        return np.asarray(line[np.diff(line, prepend=-1) != 0], np.int64)

    def check_field_count(self) -> None:
        """Refuse the text where a row has more or fewer fields than the header.

        Raises
        ------
        BadDataError
            With the first such line.
        """
        commas = sum(np.count_nonzero(block == ord(",")) for _, block in _blocks(self.data))
        if commas != (len(self.header) - 1) * self.line_count:
            self._check_each_line()

    def rows(self, lines: NDArray[np.int64], columns: Sequence[str]) -> Rows:
        """Parse lines.

        Parameters
        ----------
        lines : NDArray[np.int64]
            Numbers of lines counted from 0, in order.
        columns : Sequence[str]
            Names of the header to keep, each exactly once in it.

        Raises
        ------
        BadDataError
            A line is no CSV or has the wrong number of fields.
        """
        # Columns go by position: other names may be empty or occur twice.
        position = {name: str(self.header.index(name)) for name in columns}
        offsets, whole = pa.py_buffer(self.start), pa.py_buffer(self.data)
        cut = pa.Array.from_buffers(pa.binary(), self.line_count, [None, offsets, whole]).take(row_numbers(lines))
        body = cut.buffers()[2]
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(body),
                read_options=pa_csv.ReadOptions(
                    use_threads=False,
                    block_size=len(body) + 1,
                    column_names=[str(number) for number in range(len(self.header))],
                ),
                convert_options=pa_csv.ConvertOptions(
                    check_utf8=False,
                    include_columns=list(position.values()),
                    column_types=dict.fromkeys(position.values(), pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid as error:
            self._refuse_lines(str(error))
        if table.num_rows != len(lines):
            self._refuse_lines(f"{len(lines)} lines give {table.num_rows} rows")
        cells = {name: table[number].combine_chunks() for name, number in position.items()}
        return Rows(self.name, lines + 1, cells)

    def _check_each_line(self) -> None:
        lines = self.data.decode().split("\n")[: self.line_count]
        reader = csv.reader((line + "\n" for line in lines), strict=True)
        expected = len(self.header)
        number = 0
        try:
            for number, fields in enumerate(reader, start=1):
                if reader.line_num != number:
                    raise BadDataError(self.name, "a quoted field runs over the end of the line", number)
                if len(fields) != expected:
                    reason = f"has {len(fields)} fields where the header has {expected}; is the file cut off?"
                    raise BadDataError(self.name, reason, number)
        except csv.Error as error:
            raise BadDataError(self.name, f"cannot be read as CSV: {error}", number + 1) from error

    def _refuse_lines(self, reason: str) -> NoReturn:
        self._check_each_line()
        raise BadDataError(self.name, f"cannot be read as CSV: {reason}")


def split_lines(name: str, data: bytes, *, is_head: bool = False) -> CsvText:
    """Split a text into lines, without a byte order mark and blank lines at its end.

    Parameters
    ----------
    name : str
        Name of the file, for messages.
    data : bytes
        Not empty.
    is_head : bool
        The text goes on after `data`: what follows its last line end is left out.

    Raises
    ------
    BadDataError
        The text is not UTF-8, or has no row after the header.
    """
    data = data.removeprefix(_BOM)
    if is_head:
        data = data[: data.rfind(b"\n") + 1]
    _check_encoding(name, data)
    end = _positions(data, ord("\n")) + 1
    if not data.endswith(b"\n"):
        end = np.append(end, len(data))
    start = np.zeros(len(end) + 1, np.int32)
    start[1:] = end
    while len(start) > 1 and not data[start[-2] : start[-1]].strip():
        start = start[:-1]
    if len(start) < 3:
        raise BadDataError(name, "holds no row after the header")
    return CsvText(name, data, start)


def _blocks(data: bytes) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Cut a text into blocks, with where each starts: comparing a block leaves no large array to allocate."""
    byte = np.frombuffer(data, np.uint8)
    for start in range(0, len(data), _BLOCK_BYTES):
        yield start, byte[start : start + _BLOCK_BYTES]


def _positions(data: bytes, value: int) -> NDArray[np.int64]:
    found = [np.flatnonzero(block == value) + start for start, block in _blocks(data)]
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _check_encoding(name: str, data: bytes) -> None:
    if data.isascii():
        return
    try:
        data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = f"byte {data[error.start]:#04x} is not UTF-8; save the file as UTF-8 or download it again"
        raise BadDataError(name, reason, line) from error
