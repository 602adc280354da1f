"""What a materialization of a variant shows: numbers that the UI plots, small tables and a picture."""

from __future__ import annotations

from collections import Counter
from datetime import date

import dagster as dg
import pyarrow as pa

from backtest_pipelines.analytics.figures import equity_sparkline_data_uri
from backtest_pipelines.executions.execute import Executed
from backtest_pipelines.executions.summary import Value, summary
from backtest_pipelines.results.tables import equity_of

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
    plain = summary(
        answer,
        execution_id=executed.execution_id,
        tier=executed.tier,
        duration_ms=executed.duration_ms,
        fingerprint=executed.fingerprint,
    )
    return {
        **{name: plain_value(value) for name, value in plain.items()},
        "question": dg.MetadataValue.json(executed.question.canonical()),
        "equity": dg.MetadataValue.md(f"![equity]({equity_sparkline_data_uri(equity_of(answer.equity))})"),
        "first_trades": _table(trades.slice(0, SHOWN_TRADES)),
        "last_trades": _table(trades.slice(max(0, trades.num_rows - SHOWN_TRADES))),
        "notices": _table(notices.slice(0, SHOWN_NOTICES)),
        "notices_by_kind": dg.MetadataValue.json(dict(kinds)),
    }


def plain_value(value: Value) -> dg.MetadataValue:
    """Return a number, a text, a truth value or None as metadata."""
    if value is None:
        return dg.MetadataValue.null()
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    return dg.MetadataValue.text(value) if isinstance(value, str) else dg.MetadataValue.float(value)


def _table(table: pa.Table) -> dg.MetadataValue:
    columns = [dg.TableColumn(field.name, str(field.type)) for field in table.schema]
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in table.to_pylist()]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _cell(value: object) -> str | int | float | bool | None:
    if isinstance(value, date):
        return value.isoformat()
    return value if value is None or isinstance(value, str | int | float) else str(value)
