"""The engine's answer and the reference's, in one form, so that a test can ask for equality."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from backtest_pipelines.errors import MissingDataError
from backtest_pipelines.executions.compute import compute
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.strategies import question as ours
from backtest_pipelines_tests.reference.backtest import backtest
from backtest_pipelines_tests.reference.exchange_files import write_market
from backtest_pipelines_tests.reference.market import Market
from backtest_pipelines_tests.reference.question import Question

Rows = list[dict[str, object]]

VARIANTS = ("call_sell_future_buy_weekly", "call_sell_future_buy_t1", "call_sell_future_buy_t2")


def ingested(folder: Path, market: Market, *, zipped: bool = False) -> PanelStore:
    """Write a market as the exchange's files and ingest them."""
    (folder / "files").mkdir(parents=True)
    write_market(folder / "files", market, zipped=zipped)
    store = PanelStore(folder / "panel")
    report = ingest(exchange_files(folder / "files"), store)
    assert not report.bad, report.bad
    return store


def asked(question: Question) -> ours.Question:
    """Return the reference's question as ours."""
    return ours.ask(
        VARIANTS[question.sessions_before],
        question.symbol,
        {
            "spot_adjustment_type": question.spot_adjustment_type,
            "spot_adjustment": question.spot_adjustment,
            "call_sell_position": question.call_sell_position,
        },
        from_date=question.from_date,
        to_date=question.to_date,
        phases=question.phases,
        exit_at_expiry=question.exit_at_expiry,
        costs=question.brokerage_inr_per_order is not None,
        brokerage_inr_per_order=question.brokerage_inr_per_order,
    )


def engine_rows(store: PanelStore, question: ours.Question) -> tuple[Rows, Rows]:
    """Return the engine's trades and notices; none where the data has no session in the dates."""
    try:
        view = store.symbol(question.symbol).view(question.from_date, question.to_date)
    except MissingDataError:
        return [], []
    answer = compute(view, question, "0" * 64)
    return plain_rows(answer.trades), notice_rows(answer.notices)


def reference_rows(market: Market, question: Question) -> tuple[Rows, Rows]:
    """Return the reference's trades and notices in the engine's form."""
    trades, notices = backtest(market, question)
    return [_plain(row) for row in trades], sorted(
        ({name: value for name, value in _plain(row).items() if name != "detail"} for row in notices), key=_order
    )


def plain_rows(table: pa.Table) -> Rows:
    """Return the rows with exact decimals for prices."""
    return [_plain(row) for row in table.to_pylist()]


def notice_rows(table: pa.Table) -> Rows:
    """Return the notices without their sentences and those of the equity curve, in a fixed order."""
    rows = [row for row in plain_rows(table) if row["kind"] != "mark_carried"]
    return sorted(({name: value for name, value in row.items() if name != "detail"} for row in rows), key=_order)


def _plain(row: Mapping[str, object]) -> dict[str, object]:
    return {name: _exact(value) for name, value in row.items()}


def _exact(value: object) -> object:
    if isinstance(value, float):
        exact = Decimal(repr(value))
        assert exact == round(exact, 2), f"{value} is finer than a paisa"
        return round(exact, 2)
    return round(value, 2) if isinstance(value, Decimal) else value


def _order(row: Mapping[str, object]) -> list[str]:
    return [str(row[name]) for name in ("entry_date", "exit_date", "date", "kind", "leg", "expiry", "strike")]
