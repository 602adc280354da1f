"""What a materialization of a variant shows: numbers that the UI plots, small tables and a picture."""

from __future__ import annotations

from collections import Counter
from datetime import date

import dagster as dg
import pyarrow as pa

from backtest_pipelines.analytics.figures import equity_sparkline_data_uri
from backtest_pipelines.defs.io_manager import FINGERPRINT
from backtest_pipelines.executions.execute import Executed
from backtest_pipelines.results.tables import equity_of

MAIN_STATISTICS = (
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
SHOWN_TRADES = 5
"""Rows of each of the two tables of trades."""
SHOWN_NOTICES = 100
"""Rows of the table of notices; their number is given beside it."""


def execution_metadata(executed: Executed) -> dict[str, dg.MetadataValue]:
    """Return the metadata of one execution.

    A statistic that is not defined (a ratio without trades) is null.
    """
    answer = executed.answer
    trades, notices = answer.trades, answer.notices
    kinds = Counter(notices.column("kind").to_pylist())
    return {
        **{name: _number(answer.statistics[name]) for name in MAIN_STATISTICS},
        "cached": dg.MetadataValue.bool(executed.cached),
        "tier": dg.MetadataValue.text(executed.tier or "computed"),
        "duration_ms": dg.MetadataValue.float(executed.duration_ms),
        FINGERPRINT: dg.MetadataValue.text(executed.fingerprint),
        "execution_id": dg.MetadataValue.int(executed.execution_id),
        "question": dg.MetadataValue.json(executed.question.canonical()),
        "equity": dg.MetadataValue.md(f"![equity]({equity_sparkline_data_uri(equity_of(answer.equity))})"),
        "first_trades": _table(trades.slice(0, SHOWN_TRADES)),
        "last_trades": _table(trades.slice(max(0, trades.num_rows - SHOWN_TRADES))),
        "notices": _table(notices.slice(0, SHOWN_NOTICES)),
        "notices_count": dg.MetadataValue.int(notices.num_rows),
        "notices_by_kind": dg.MetadataValue.json(dict(kinds)),
    }


def _number(value: object) -> dg.MetadataValue:
    if value is None:
        return dg.MetadataValue.null()
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    return dg.MetadataValue.float(float(str(value)))


def _table(table: pa.Table) -> dg.MetadataValue:
    columns = [dg.TableColumn(field.name, str(field.type)) for field in table.schema]
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in table.to_pylist()]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _cell(value: object) -> str | int | float | bool | None:
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, str | int | float) else str(value)
