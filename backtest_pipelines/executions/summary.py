"""What a materialization of a variant says of an answer in numbers and texts, whether a run reports it or the API."""

from __future__ import annotations

from typing import Final, TypeAlias

from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.store import Tier

Value: TypeAlias = str | int | float | bool | None

FINGERPRINT: Final = "fingerprint"
"""Name of the fingerprint in a materialization's metadata."""
MAIN_STATISTICS: Final = (
    "trades",
    "net_pnl_points",
    "win_rate_frac",
    "avg_pnl_points",
    "best_trade_points",
    "worst_trade_points",
    "cagr_frac",
    "max_drawdown_frac",
    "max_drawdown_points",
    "sharpe_ratio",
    "sortino_ratio",
    "calmar_ratio",
    "recovery_factor",
    "time_in_market_frac",
)


def summary(
    answer: Answer, *, execution_id: int, tier: Tier | None, duration_ms: float, fingerprint: str
) -> dict[str, Value]:
    """Return the main statistics of an answer and what is known of its execution.

    A statistic that is not defined (a ratio without trades) is None.

    Parameters
    ----------
    answer : Answer
    execution_id : int
    tier : {"redis", "file"} or None
        None where it was computed.
    duration_ms : float
    fingerprint : str
    """
    return {
        **{name: answer.statistics[name] for name in MAIN_STATISTICS},
        "cached": tier is not None,
        "tier": tier or "computed",
        "duration_ms": duration_ms,
        FINGERPRINT: fingerprint,
        "execution_id": execution_id,
        "notices_count": int(answer.notices.num_rows),
    }
