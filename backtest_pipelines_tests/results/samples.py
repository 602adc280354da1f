"""Small answers for the tests of this folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa

from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.codec import encode

VARIANT = "covered_call"
SYMBOL = "NIFTY"


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class MemoryStamps:
    """Stamps in memory, by variant and symbol, on a clock that only the test moves."""

    now: float = 1_000_000.0
    before: dict[tuple[str, str], float] = field(default_factory=dict)
    reads: int = 0

    def now_s(self) -> float:
        return self.now

    def before_s(self, variant: str, symbol: str) -> float:
        self.reads += 1
        return self.before.get((variant, symbol), 0.0)

    def stamp(self, variant: str = VARIANT, symbol: str = SYMBOL) -> None:
        self.before[variant, symbol] = self.now
        self.now += 1


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
