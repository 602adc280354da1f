"""The summary of an answer: one content, as JSON or as lines for people."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backtest_pipelines.results.answer import Answer
    from backtest_pipelines.results.exports import Exported

PER_LOT_COLUMNS: Mapping[str, str] = {
    "net_pnl_inr_per_lot": "net P&L per lot",
    "charges_inr_per_lot": "charges per lot",
    "net_after_charges_inr_per_lot": "net after charges per lot",
}
"""Column of the trades -> its name in the summary."""
SHORT_FINGERPRINT = 12
QUESTION = (
    "variant",
    "symbol",
    "parameters",
    "from_date",
    "to_date",
    "phases",
    "exit_at_expiry",
    "brokerage_inr_per_order",
)
"""What of the provenance is the question; the rest says what it was answered from."""


def content(answer: Answer, exported: Exported | None) -> dict[str, object]:
    """Return what ``--json`` prints of an answer."""
    return {
        "fingerprint": answer.provenance["fingerprint"],
        "question": {name: answer.provenance[name] for name in QUESTION},
        "trades": answer.row_count,
        "statistics": dict(answer.statistics),
        "totals": per_lot_totals(answer),
        "trades_without_lot": trades_without_lot(answer),
        "notices": notice_counts(answer),
        "output": None if exported is None else {"trades": str(exported.trades), "notices": str(exported.notices)},
    }


def lines(answer: Answer, source: str, exported: Exported | None) -> dict[str, str]:
    """Return the names and values that are printed for people.

    Parameters
    ----------
    answer : Answer
    source : str
        How the answer came about.
    exported : Exported or None
        The files that were written.
    """
    figures, provenance = answer.statistics, answer.provenance
    notices = ", ".join(f"{count} {kind}" for kind, count in notice_counts(answer).items())
    shown = {
        "variant": str(provenance["variant"]),
        "symbol": str(provenance["symbol"]),
        "parameters": ", ".join(f"{name} {value}" for name, value in provenance["parameters"].items()),
        "dates": f"{_known(figures['first_entry_date'])} to {_known(figures['last_exit_date'])}",
        "trades": str(answer.row_count),
        "win rate": _percent(figures["win_rate_frac"]),
        "net P&L": _points(figures["net_pnl_points"]),
        **_per_lot_lines(answer),
        "CAGR": _percent(figures["cagr_frac"]),
        "max drawdown": _percent(figures["max_drawdown_frac"]),
        "Sharpe": _number(figures["sharpe_ratio"]),
        "notices": notices or "none",
        "answer": source,
        "fingerprint": str(provenance["fingerprint"])[:SHORT_FINGERPRINT],
    }
    if exported is not None:
        shown["written to"] = f"{exported.trades}, notices to {exported.notices}"
    return shown


def notice_counts(answer: Answer) -> dict[str, int]:
    """Return how many notices of each kind the answer holds, the most frequent first."""
    return dict(Counter(answer.notices["kind"].to_pylist()).most_common())


def per_lot_totals(answer: Answer) -> dict[str, float | None]:
    """Return the sums of the columns in INR per lot over the trades of known lot size; None without any."""
    columns = [name for name in PER_LOT_COLUMNS if name in answer.trades.column_names]
    return {name: _sum(answer.trades[name].to_pylist()) for name in columns}


def trades_without_lot(answer: Answer) -> int:
    """Return how many trades are in no sum per lot, because their lot size is not known."""
    return int(answer.trades["lot_size"].null_count)


def _sum(amounts_inr: list[float | None]) -> float | None:
    known = [amount for amount in amounts_inr if amount is not None]
    return round(math.fsum(known), 2) if known else None


def _per_lot_lines(answer: Answer) -> dict[str, str]:
    without = trades_without_lot(answer)
    left_out = f" ({without} trades of unknown lot size left out)" if without else ""
    return {
        PER_LOT_COLUMNS[name]: "-" if total is None else f"{total:,.2f} INR{left_out}"
        for name, total in per_lot_totals(answer).items()
    }


def _known(value: object) -> str:
    return "-" if value is None else str(value)


def _percent(value: float | str | None) -> str:
    return f"{value:.2%}" if isinstance(value, float) else _known(value)


def _points(value: float | str | None) -> str:
    return f"{value:,.2f} points" if isinstance(value, float) else _known(value)


def _number(value: float | str | None) -> str:
    return f"{value:.2f}" if isinstance(value, float) else _known(value)
