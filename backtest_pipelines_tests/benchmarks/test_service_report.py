"""The arithmetic and the tables of the service's benchmark; what it measures is measured by hand."""

import io
import json

import pytest
from rich.console import Console

from backtest_pipelines_tests.benchmarks.service_installations import STOCK, stock_configuration
from backtest_pipelines_tests.benchmarks.service_report import (
    Figure,
    figures_table,
    gaps,
    percentile,
    shares_table,
    spread,
)
from backtest_pipelines_tests.benchmarks.service_runs import Questions
from backtest_pipelines_tests.docs.markdown import PROJECT


def test_percentiles_are_interpolated() -> None:
    values = [float(value) for value in range(100, -1, -1)]
    assert percentile(values, 50) == 50
    assert percentile(values, 95) == 95
    assert percentile([1.0, 2.0], 50) == 1.5
    assert percentile([7.0], 95) == 7


def test_a_spread_compares_like_with_like() -> None:
    p50, p95 = spread("run", [10.0, 20.0, 30.0], [100.0, 200.0, 300.0], p50_at_most=15)
    assert (p50.ours, p50.stock, p50.share_of_stock, p50.is_missed) == (20, 200, 0.1, True)
    assert (p95.name, p95.at_most, p95.is_missed) == ("run, p95", None, False)
    assert p95.ours == pytest.approx(29)


def test_a_series_of_nothing_has_no_figures() -> None:
    assert spread("cancel", []) == []


@pytest.mark.parametrize(
    ("figure", "is_missed"),
    [
        (Figure("at the limit", "ms", 5, at_most=5), False),
        (Figure("beyond it", "ms", 5.1, at_most=5), True),
        (Figure("as fast as wanted", "times", 4, at_least=4), False),
        (Figure("slower", "times", 3.9, at_least=4), True),
        (Figure("without a target", "ms", 1e9), False),
    ],
)
def test_a_figure_is_missed_on_the_wrong_side_of_its_target(figure: Figure, *, is_missed: bool) -> None:
    assert figure.is_missed == is_missed


def test_gaps_are_medians_of_the_runs_with_the_usual_events() -> None:
    usual = [[("queued", start), ("done", start + took)] for start, took in ((1.0, 10.0), (2.0, 30.0), (3.0, 50.0))]
    unusual = [("queued", 0.0), ("queued again", 500.0), ("done", 900.0)]
    assert gaps([*usual, unusual]) == [("queued", 2.0), ("done", 30.0)]


def test_the_tables_show_each_figure_beside_its_target() -> None:
    figures = [
        Figure("run, p50", "ms", 250, 1000, at_most=200),
        Figure("fast", "times", 4.04, at_least=4),
        Figure("GET", "ms", 2.345),
    ]
    text = _printed(figures_table("SQLite", figures))
    row, fast, get = (line for line in text.splitlines() if any(figure.name in line for figure in figures))
    assert [cell.strip() for cell in row.split("│")[1:-1]] == [
        "run, p50",
        "1,000 ms",
        "250 ms",
        "0.25",
        "at most 200 ms",
        "missed",
    ]
    assert "at least 4.0 times" in fast
    assert "missed" not in fast
    assert "2.3 ms" in get


def test_the_shares_of_a_whole_add_up() -> None:
    text = _printed(shares_table("runs", [("queued", 25.0), ("done", 75.0)]))
    assert "25%" in text
    assert "75%" in text
    assert "100.0" in text


@pytest.mark.parametrize("file", ["dagster.yaml", "deploy/dagster.yaml"])
def test_stock_has_the_projects_storage_and_nothing_of_its_queue_and_launcher(file: str) -> None:
    text = (PROJECT / file).read_text(encoding="utf-8")
    stock = stock_configuration(text)
    assert "backtest_pipelines" in text
    assert "backtest_pipelines" not in json.dumps(stock)
    assert stock["run_queue"] == STOCK["run_queue"]
    assert ("storage" in stock) == (file == "deploy/dagster.yaml")


def test_no_question_is_asked_twice() -> None:
    questions = Questions()
    asked = [tuple(questions.next().items()) for _ in range(2000)]
    assert len(set(asked)) == 2000


def _printed(table: object) -> str:
    console = Console(file=io.StringIO(), width=118)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()
