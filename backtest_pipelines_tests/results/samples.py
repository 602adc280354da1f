"""Small answers for the tests of this folder."""

from __future__ import annotations

import hashlib
from datetime import date

import pyarrow as pa

from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.codec import encode

VARIANT = "covered_call"
SYMBOL = "NIFTY"


def fingerprint(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def answer(number: int = 0) -> Answer:
    days = [date(2024, 1, 4), date(2024, 1, 11), date(2024, 1, 18)]
    return Answer(
        trades=pa.table({"entry_date": days, "net_pnl": [1.5, None, float(number)], "lot_size": [50, 50, None]}),
        notices=pa.table({"kind": pa.array([], pa.string()), "date": pa.array([], pa.date32())}),
        equity=pa.table({"date": days, "equity": [0.0, 1.5, -0.25]}),
        statistics={"trades": 3, "sharpe": None, "net_pnl": 1.25, "first": "2024-01-04"},
        pivot={"2024": {"Jan": 1.25, "total": 1.25}, "rows": ["2024", "total"]},
        provenance={"fingerprint": fingerprint(number), "variant": VARIANT, "symbol": SYMBOL},
    )


def value(number: int = 0) -> bytes:
    return encode(answer(number))
