"""The tables of the docs that are made from the program.

``python -m backtest_pipelines_tests.docs.tables`` writes them into the pages again; a test compares them.
"""

from __future__ import annotations

import csv
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import backtest_pipelines
from backtest_pipelines.analytics.statistics import STATISTICS
from backtest_pipelines.engine.notices import NoticeKind
from backtest_pipelines.errors import BacktestError
from backtest_pipelines.executions.settings import VARIABLES
from backtest_pipelines.retention.limits import DEFAULT, LIMITS
from backtest_pipelines.strategies import catalogue
from backtest_pipelines.strategies.parameters import Parameter
from backtest_pipelines_tests.docs.markdown import PROJECT, pages

_MARKED = re.compile(r"<!-- table: (?P<name>[a-z_]+) -->\n(?P<table>.*?)<!-- end of table -->\n", re.DOTALL)
_DAYS = {0: "on the expiry days", 1: "one session before them", 2: "two sessions before them"}


def variants() -> str:
    rows = []
    for variant in catalogue.variants():
        before = variant.sessions_before_expiry
        when = _DAYS.get(before, f"{before} sessions before them")
        rows.append((f"`{variant.name}`", when, variant.description, str(variant.revision)))
    return _table(("variant", "entry and exit", "what it does", "revision"), rows)


def parameters() -> str:
    """Return each distinct parameter once: variants that share one share its row."""
    distinct = {
        parameter: None for variant in catalogue.variants() for parameter in map(_described, variant.parameters)
    }
    return _table(("parameter", "default", "allowed", "meaning"), distinct)


def statistics() -> str:
    rows = [
        (f"`{name}`", entry.unit, entry.description, entry.zero_case or "always defined")
        for name, entry in STATISTICS.items()
    ]
    return _table(("name", "unit", "definition", "where it cannot be computed"), rows)


def settings() -> str:
    return _table(("variable", "meaning"), [(f"`{name}`", meaning) for name, meaning in VARIABLES.items()])


def retention() -> str:
    rows = [
        (f"`{name}`", f"{getattr(DEFAULT, name):,}", f"{limit.low} to {limit.high:,}", limit.meaning)
        for name, limit in LIMITS.items()
    ]
    return _table(("limit", "default", "allowed", "meaning"), rows)


def errors() -> str:
    rows = [
        (
            f"`{cls.__name__}`",
            f"`{base(cls)}`",
            str(cls.exit_code),
            "yes" if cls.retry_can_help else "no",
            _summary(cls),
        )
        for cls in error_classes()
    ]
    return _table(("error", "is a", "exit code", "a retry can help", "meaning"), rows)


def notices() -> str:
    rows = [(f"`{kind.value}`", "no" if kind.prevents_trade else "yes", _meaning(kind)) for kind in NoticeKind]
    return _table(("kind", "traded", "meaning"), rows)


def lots() -> str:
    return _market_table("lots", ("symbol", "kind", "first_expiry", "lot_size", "source"))


def charges() -> str:
    return _market_table("charges", ("item", "from", "rate_percent", "source"))


def error_classes() -> list[type[BacktestError]]:
    """Return the whole tree of errors, parents first, whichever room they live in."""
    for module in pkgutil.walk_packages(backtest_pipelines.__path__, "backtest_pipelines."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found: list[type[BacktestError]] = []
    waiting: list[type[BacktestError]] = [BacktestError]
    while waiting:
        cls = waiting.pop(0)
        found.append(cls)
        waiting.extend(
            sorted(
                (child for child in cls.__subclasses__() if child.__module__.startswith("backtest_pipelines.")),
                key=lambda child: child.__name__,
            )
        )
    return found


def base(cls: type) -> str:
    return cls.__bases__[0].__name__


TABLES: Mapping[str, Callable[[], str]] = {
    table.__name__: table
    for table in (variants, parameters, statistics, settings, retention, errors, notices, lots, charges)
}


def marked(page: Path) -> list[tuple[str, str]]:
    """Return name and text of each table of a page that is made here."""
    return [(match["name"], match["table"]) for match in _MARKED.finditer(page.read_text(encoding="utf-8"))]


def main() -> None:
    """Write every table into its page."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        new = _MARKED.sub(
            lambda match: f"<!-- table: {match['name']} -->\n{TABLES[match['name']]()}<!-- end of table -->\n", text
        )
        if new != text:
            page.write_text(new, encoding="utf-8")
            print(f"wrote {page.relative_to(PROJECT)}")  # noqa: T201 - a command


def _described(parameter: Parameter) -> tuple[str, str, str, str]:
    allowed = parameter.limit.removeprefix("allowed: ")
    return f"`{parameter.name}`", str(parameter.default), allowed, parameter.description


def _summary(cls: type) -> str:
    return re.split(r"\n\s*\n", inspect.getdoc(cls) or "")[0].replace("\n", " ")


def _meaning(kind: NoticeKind) -> str:
    sentence = kind.sentence.split(": ", 1)[1]
    return sentence[0].upper() + sentence[1:]


def _market_table(name: str, columns: Sequence[str]) -> str:
    text = files("backtest_pipelines.market").joinpath("tables", f"{name}.csv").read_text(encoding="utf-8")
    rows = [[row[column] or "the beginning" for column in columns] for row in csv.DictReader(text.splitlines())]
    headings = [column.replace("_", " ") for column in columns]
    return _table(headings, [[f"`{first}`", *rest] for first, *rest in rows])


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
