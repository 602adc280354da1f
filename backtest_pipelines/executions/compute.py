"""From a question and a view of the market to the whole answer: trades, notices, equity, statistics, pivot."""

from __future__ import annotations

from backtest_pipelines import __version__
from backtest_pipelines.analytics.equity import equity_curve
from backtest_pipelines.analytics.pivot import pivot
from backtest_pipelines.analytics.statistics import statistics
from backtest_pipelines.engine.marks import marks
from backtest_pipelines.engine.run import ENGINE_REVISION, run
from backtest_pipelines.panel.view import MarketView
from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.tables import equity_table, notice_table, trade_table
from backtest_pipelines.strategies.question import Question


def compute(view: MarketView, question: Question, fingerprint: str) -> Answer:
    """Return the answer to a question on the view cut to its dates."""
    backtest = run(view, question)
    trades = backtest.trades
    daily = marks(view, trades, backtest.notices)
    curve = equity_curve(
        view.session,
        trades.entry_position,
        trades.exit_position,
        daily.offset,
        daily.pnl_paise,
        int(trades.entry_spot_paise[0]) if len(trades) else 0,
    )
    return Answer(
        trades=trade_table(trades),
        notices=notice_table(backtest.notices.table()),
        equity=equity_table(curve),
        statistics=statistics(
            entry_date=trades.entry_date,
            exit_date=trades.exit_date,
            net_pnl_paise=trades.net_pnl_paise,
            curve=curve,
            lot_size=trades.lot_size,
        ),
        pivot=pivot(trades.exit_date, trades.net_pnl_paise),
        provenance={
            **question.canonical(),
            "fingerprint": fingerprint,
            "data_digest": view.digest,
            "strategy_revision": question.variant.revision,
            "engine_revision": ENGINE_REVISION,
            "package_version": __version__,
        },
    )
