from __future__ import annotations

import random

import pytest

from backtest_pipelines.results.codec import CorruptAnswerError
from backtest_pipelines.results.sealed import TIME_BYTES, kept_s_in, seal, unseal

VALUE = b'{"data": []}' * 20


def test_what_is_sealed_is_got_back_with_its_time() -> None:
    sealed = seal("name", 1764068400.25, VALUE)
    assert unseal("name", sealed) == (1764068400.25, VALUE)
    first, last = TIME_BYTES
    assert kept_s_in(sealed[first : last + 1]) == 1764068400.25
    assert unseal("name", seal("name", 0.0, b"")) == (0.0, b"")


def test_under_another_name_it_is_corrupt() -> None:
    with pytest.raises(CorruptAnswerError, match=r"^other: the checksum of its"):
        unseal("other", seal("name", 1.0, VALUE))


def test_every_flipped_bit_missing_or_further_byte_is_detected() -> None:
    chance = random.Random(20240104)
    sealed = seal("name", 1764068400.25, VALUE)
    flipped = [sealed[:at] + bytes([sealed[at] ^ (1 << chance.randrange(8))]) + sealed[at + 1 :] for at in range(280)]
    cut = [sealed[:size] for size in range(len(sealed))]
    for damaged in [*flipped, *cut, sealed + b"x"]:
        with pytest.raises(CorruptAnswerError):
            unseal("name", damaged)


def test_of_a_value_too_short_for_a_time_nothing_is_older() -> None:
    assert kept_s_in(b"short") == 0.0
