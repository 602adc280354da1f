"""What a backtest is asked."""

from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from itertools import pairwise

from backtest_pipelines_tests.reference.market import SYMBOLS


@dataclass(frozen=True)
class Question:
    """One variant (by the number of sessions before expiry), its parameters and its period.

    `brokerage_inr_per_order` None means that no costs are asked for.
    """

    sessions_before: int = 0
    symbol: str = "NIFTY"
    spot_adjustment_type: int = 0
    spot_adjustment: Decimal = Decimal("1.0")
    call_sell_position: Decimal = Decimal("0.0")
    from_date: date | None = None
    to_date: date | None = None
    phases: list[tuple[date, date]] = field(default_factory=list)
    exit_at_expiry: str = "close"
    brokerage_inr_per_order: Decimal | None = None

    def __post_init__(self) -> None:
        if not (
            self.sessions_before >= 0
            and self.symbol in SYMBOLS
            and self.spot_adjustment_type in {0, 1, 2, 3}
            and 0 <= self.spot_adjustment <= 100
            and -50 <= self.call_sell_position <= 50
            and self.exit_at_expiry in {"close", "intrinsic"}
        ):
            raise ValueError(f"out of range: {self}")
        for percent in (self.spot_adjustment, self.call_sell_position):
            if percent != round(percent, 4):
                raise ValueError(f"more than four decimal places: {percent}")
        if any(start > end for start, end in self.phases):
            raise ValueError(f"a phase ends before it starts: {self.phases}")
        if any(end >= start for (_, end), (start, _) in pairwise(sorted(self.phases))):
            raise ValueError(f"phases overlap: {self.phases}")
