from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backtest_pipelines.errors import BadDataError, BugError
from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.codec import MAGIC, CorruptAnswerError, decode, encode, payload, verify
from backtest_pipelines_tests.results.samples import answer, fingerprint, value

CELLS: dict[Any, st.SearchStrategy[Any]] = {
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): st.text(max_size=8),
    pa.bool_(): st.booleans(),
    pa.date32(): st.dates(date(1990, 1, 1), date(2100, 1, 1)),
}
JSON_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
JSON_VALUES = st.recursive(
    JSON_SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    rows = draw(st.integers(0, 12))
    kinds = draw(st.lists(st.sampled_from(list(CELLS)), min_size=1, max_size=6))
    columns = [pa.array(draw(st.lists(st.none() | CELLS[kind], min_size=rows, max_size=rows)), kind) for kind in kinds]
    return pa.table(columns, names=[f"column_{number}" for number in range(len(kinds))])


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    names = st.text(max_size=6)
    provenance = draw(st.dictionaries(names, JSON_VALUES, max_size=3))
    return Answer(
        trades=draw(tables()),
        notices=draw(tables()),
        equity=draw(tables()),
        statistics=draw(st.dictionaries(names, JSON_SCALARS, max_size=4)),
        pivot=draw(st.dictionaries(names, JSON_VALUES, max_size=4)),
        provenance={**provenance, "fingerprint": fingerprint(draw(st.integers(0, 9)))},
    )


def disguised(table: pa.Table) -> pa.Table:
    """Return an equal table that lies in memory in another way."""
    rows = table.num_rows
    twice = pa.concat_tables([table.slice(0, rows // 2), table.slice(rows // 2), table])
    back = twice.combine_chunks().slice(rows)  # at an offset within longer buffers
    parts = [back.slice(row, 1) for row in range(rows)] or [back]
    return pa.concat_tables(parts).replace_schema_metadata({"made": "elsewhere"})


def reordered(mapping: Mapping[str, Any]) -> dict[str, Any]:
    return dict(reversed(list(mapping.items())))


@given(answers())
def test_an_answer_comes_back_from_its_bytes_unchanged(original: Answer) -> None:
    back = decode(encode(original))
    assert back == original
    for name in ("trades", "notices", "equity"):
        assert getattr(back, name).schema.equals(getattr(original, name).schema, check_metadata=True)
    assert back.row_count == original.trades.num_rows


@given(answers())
def test_equal_answers_give_equal_bytes_however_they_lie_in_memory(original: Answer) -> None:
    other = Answer(
        *(disguised(table) for table in (original.trades, original.notices, original.equity)),
        *(reordered(m) for m in (original.statistics, original.pivot, original.provenance)),
    )
    assert other == original
    assert encode(other) == encode(original)


def test_what_lies_under_a_null_does_not_change_the_bytes() -> None:
    def with_hidden(number: int) -> Answer:
        mask = pa.py_buffer(b"\x05")
        hidden = pa.Array.from_buffers(pa.int64(), 3, [mask, pa.py_buffer(np.array([1, number, 3]))])
        return dataclasses.replace(answer(), trades=pa.table({"lot_size": hidden}))

    assert with_hidden(7) == with_hidden(8)
    assert encode(with_hidden(7)) == encode(with_hidden(8))


def test_the_payload_alone_gives_the_trades_with_their_provenance() -> None:
    trades = pa.ipc.open_stream(payload(value())).read_all()
    assert trades.equals(answer().trades)
    assert json.loads(trades.schema.metadata[b"backtest.provenance"]) == answer().provenance
    assert json.loads(trades.schema.metadata[b"backtest.statistics"]) == answer().statistics


def test_every_single_flipped_bit_is_detected() -> None:
    whole = value()
    damaged = bytearray(whole)
    for position in range(len(whole)):
        for bit in range(8):
            damaged[position] ^= 1 << bit
            with pytest.raises(CorruptAnswerError):
                verify(bytes(damaged), fingerprint(0))
            damaged[position] ^= 1 << bit
    verify(bytes(damaged), fingerprint(0))


def test_every_truncation_is_detected_and_so_is_an_extension() -> None:
    whole = value()
    for size in range(len(whole)):
        with pytest.raises(CorruptAnswerError):
            verify(whole[:size], fingerprint(0))
    with pytest.raises(CorruptAnswerError, match="checksum"):
        verify(whole + b"\x00", fingerprint(0))


def test_the_answer_to_another_question_is_refused_with_both_fingerprints() -> None:
    with pytest.raises(CorruptAnswerError, match=fingerprint(0)) as caught:
        verify(value(1), fingerprint(0))
    assert fingerprint(1) in str(caught.value)
    assert isinstance(caught.value, BadDataError)


def test_a_value_of_another_format_version_is_refused() -> None:
    with pytest.raises(CorruptAnswerError, match="begins with"):
        verify(MAGIC[:-1] + b"\x02" + value()[len(MAGIC) :], fingerprint(0))


def test_damaged_bytes_are_never_decoded() -> None:
    with pytest.raises(CorruptAnswerError):
        decode(value()[:-1])


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf"), date(2024, 1, 4), b"bytes"])
def test_what_json_cannot_hold_is_refused_with_its_place(bad: object) -> None:
    with pytest.raises(BugError, match=r"pivot\.2024\[1\]: got"):
        encode(dataclasses.replace(answer(), pivot={"2024": [1.0, bad]}))


def test_a_key_that_is_no_text_is_refused() -> None:
    with pytest.raises(BugError, match="pivot: got the key 2024"):
        encode(dataclasses.replace(answer(), pivot={2024: 1.0}))  # type: ignore[dict-item]


@pytest.mark.parametrize("bad", [None, "", "ab", "A" * 64, "a" * 64 + "\n", "../" + "a" * 61, 7])
def test_a_provenance_without_a_fingerprint_is_refused(bad: object) -> None:
    with pytest.raises(BugError, match="fingerprint: got"):
        encode(dataclasses.replace(answer(), provenance={"fingerprint": bad}))
