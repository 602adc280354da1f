"""The bytes of an answer: an envelope that proves what is inside, and three Arrow IPC streams.

Layout: 8 bytes magic and version, 32 bytes SHA-256 of all that follows, 32 bytes fingerprint, then the
payload: the streams of trades, notices and equity, one after the other. Provenance, statistics and pivot are
JSON in the schema metadata of the trades, so that ``pyarrow.ipc.open_stream(payload(value))`` alone tells
where the trades come from.

Measured on a typical answer (366 trades of 20 columns, 1,730 rows of equity, 105 kB): not compressed, its
tables are written in 0.05 ms and read in 0.05 ms; LZ4 saves 14 % of the bytes and takes 0.3 ms each way,
Zstandard 29 % and 0.4 ms. SHA-256 takes 0.07 ms, BLAKE2b 0.13 ms; CRC-32 takes 0.03 ms and may miss damages
of many bits. Hence no compression, and SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any, Final

import pyarrow as pa

from backtest_pipelines.arrow import zeros_under_nulls
from backtest_pipelines.errors import BadDataError, BugError
from backtest_pipelines.results.answer import Answer

MAGIC: Final = b"BTANSW\x00\x01"
_CHECKSUM_END: Final = len(MAGIC) + 32
_HEADER_END: Final = _CHECKSUM_END + 32
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_METADATA_PREFIX: Final = "backtest."


class CorruptAnswerError(BadDataError):
    """Stored bytes are not the answer they should be. They are never served: the answer is computed again."""


def encode(answer: Answer) -> bytes:
    """Write an answer as bytes; equal answers give equal bytes.

    How a table is cut into chunks, what lies under its nulls, the metadata of its schema and the order of
    keys make no difference. Dictionary-encoded columns are not made canonical.

    Raises
    ------
    BugError
        If the provenance has no valid fingerprint, or statistics, pivot or provenance hold NaN, an infinity
        or what JSON cannot hold.
    """
    fingerprint = require_fingerprint(answer.provenance.get("fingerprint"))
    sink = pa.BufferOutputStream()
    metadata = {
        _METADATA_PREFIX + name: _json_text(name, mapping)
        for name, mapping in (
            ("provenance", answer.provenance),
            ("statistics", answer.statistics),
            ("pivot", answer.pivot),
        )
    }
    _write_stream(sink, answer.trades, metadata)
    _write_stream(sink, answer.notices, None)
    _write_stream(sink, answer.equity, None)
    body: bytes = bytes.fromhex(fingerprint) + sink.getvalue().to_pybytes()
    return MAGIC + hashlib.sha256(body).digest() + body


def decode(value: bytes) -> Answer:
    """Read an answer from its bytes, after checking them. The tables refer to the bytes without copying them.

    Raises
    ------
    CorruptAnswerError
        If the bytes are not exactly what `encode` wrote.
    """
    verify(value, _fingerprint_inside(value))
    source = pa.BufferReader(pa.py_buffer(payload(value)))
    trades, notices, equity = (pa.ipc.open_stream(source).read_all() for _ in range(3))
    metadata = {
        name.decode().removeprefix(_METADATA_PREFIX): json.loads(text) for name, text in trades.schema.metadata.items()
    }
    return Answer(trades.replace_schema_metadata(None), notices, equity, **metadata)


def payload(value: bytes) -> memoryview:
    """Return the Arrow part of an answer's bytes, without a copy and without a check."""
    return memoryview(value)[_HEADER_END:]


def question_inside(file: IO[bytes]) -> tuple[str, str]:
    """Return variant and symbol of the answer in a file, of which the header alone is read, without a check.

    Raises
    ------
    CorruptAnswerError
        If they are not there.
    """
    header = file.read(_HEADER_END)
    _fingerprint_inside(header)
    try:
        provenance = json.loads(pa.ipc.open_stream(file).schema.metadata[f"{_METADATA_PREFIX}provenance".encode()])
        return str(provenance["variant"]), str(provenance["symbol"])
    except (KeyError, TypeError, ValueError) as error:
        raise CorruptAnswerError("stored answer", f"its header names no variant and symbol ({error})") from error


def verify(value: bytes, fingerprint: str) -> None:
    """Check that bytes are undamaged and belong to a fingerprint.

    Any flipped bit, missing or additional byte and the answer to another question is detected.

    Raises
    ------
    CorruptAnswerError
        With the fingerprint and what is wrong.
    """
    name = f"answer {fingerprint}"
    found = _fingerprint_inside(value)
    if hashlib.sha256(memoryview(value)[_CHECKSUM_END:]).digest() != value[len(MAGIC) : _CHECKSUM_END]:
        raise CorruptAnswerError(name, f"the checksum of its {len(value)} bytes does not match")
    if found != fingerprint:
        raise CorruptAnswerError(name, f"the bytes are those of answer {found}")


def require_fingerprint(fingerprint: object) -> str:
    """Return the fingerprint when it is one.

    Raises
    ------
    BugError
        If it is not 64 lower-case hexadecimal digits.
    """
    if not isinstance(fingerprint, str) or _FINGERPRINT.fullmatch(fingerprint) is None:
        raise BugError(f"fingerprint: got {fingerprint!r}; it must be 64 lower-case hexadecimal digits")
    return fingerprint


def _fingerprint_inside(value: bytes) -> str:
    if len(value) < _HEADER_END:
        raise CorruptAnswerError("stored answer", f"it has {len(value)} bytes, its header alone {_HEADER_END}")
    if value[: len(MAGIC)] != MAGIC:
        raise CorruptAnswerError("stored answer", f"it begins with {value[: len(MAGIC)]!r}, not with {MAGIC!r}")
    return value[_CHECKSUM_END:_HEADER_END].hex()


def _write_stream(sink: pa.NativeFile, table: pa.Table, metadata: Mapping[str, str] | None) -> None:
    schema = pa.schema([pa.field(field.name, field.type, field.nullable) for field in table.schema], metadata)
    with pa.ipc.new_stream(sink, schema) as writer:
        if table.num_rows:
            columns = [zeros_under_nulls(column) for column in table.combine_chunks().to_batches()[0].columns]
            writer.write_batch(pa.record_batch(columns, schema))


def _json_text(name: str, mapping: Mapping[str, Any]) -> str:
    return json.dumps(_plain(name, mapping), sort_keys=True, allow_nan=False, separators=(",", ":"))


def _plain(path: str, value: object) -> object:
    """Return the value made of dicts, lists and scalars, or refuse it with its path."""
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise BugError(f"{path}: got the key {key!r}; keys must be text")
        return {key: _plain(f"{path}.{key}", item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(f"{path}[{index}]", item) for index, item in enumerate(value)]
    if value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise BugError(f"{path}: got {value!r}; it must be text, a finite number, true, false or null")
