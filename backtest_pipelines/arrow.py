"""Arrow arrays from and to numpy without pandas.

``pyarrow.array`` and ``Array.to_numpy`` import pandas wherever it is installed: 0.3 s and 40 MB for each process that
answers one question. These functions hand the buffers over instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def arrow_array(values: npt.NDArray[Any], known: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return integers, floats or booleans as an Arrow array that shares their memory where it can.

    Parameters
    ----------
    values : numpy.ndarray, shape (n,)
    known : numpy.ndarray of bool, shape (n,), optional
        False where the value is null.
    """
    data = _bits(values) if values.dtype == np.bool_ else pa.py_buffer(np.ascontiguousarray(values))
    valid = None if known is None or known.all() else _bits(known)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [valid, data])


def text_array(texts: Sequence[str]) -> pa.Array:
    """Return texts as an Arrow array of strings."""
    encoded = [text.encode() for text in texts]
    ends = np.fromiter(accumulate(map(len, encoded), initial=0), np.int32, len(encoded) + 1)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def numpy_array(array: pa.Array) -> npt.NDArray[Any]:
    """Return an Arrow array of numbers without nulls as a read-only view of its memory."""
    dtype = np.dtype(array.type.to_pandas_dtype())
    start = array.offset
    return np.frombuffer(array.buffers()[1] or b"", dtype)[start : start + len(array)]


def zeros_under_nulls(array: pa.Array) -> pa.Array:
    """Return an array that is equal to this one and has one form in memory: zeros where it is null."""
    if not array.null_count:
        return array
    if not pa.types.is_primitive(array.type) or pa.types.is_boolean(array.type):
        return array.take(pa.Array.from_buffers(pa.int64(), len(array), [None, pa.py_buffer(np.arange(len(array)))]))
    valid, data = array.buffers()
    start, end = array.offset, array.offset + len(array)
    known = np.unpackbits(np.frombuffer(valid, np.uint8), bitorder="little")[start:end].astype(bool)
    width = array.type.bit_width // 8
    cells = np.frombuffer(data, np.uint8)[start * width : end * width].reshape(-1, width)
    cleared = np.where(known[:, None], cells, np.uint8(0))
    return pa.Array.from_buffers(array.type, len(array), [_bits(known), pa.py_buffer(cleared)], array.null_count)


def _bits(values: npt.NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(values, bitorder="little"))
