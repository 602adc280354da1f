"""The arithmetic of the service's benchmark, and its tables: ours beside stock, each figure beside its target."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

MISSED = "missed"


@dataclass(frozen=True)
class Figure:
    """One measured figure.

    Attributes
    ----------
    name : str
    unit : {"ms", "s", "/s", "MB", "times", ""}
    ours : float
    stock : float or None
        The same of what it is compared with, where that has it.
    at_most, at_least : float or None
        The target, in the same unit.
    """

    name: str
    unit: str
    ours: float
    stock: float | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def share_of_stock(self) -> float | None:
        return self.ours / self.stock if self.stock else None

    @property
    def is_missed(self) -> bool:
        too_much = self.at_most is not None and self.ours > self.at_most
        too_little = self.at_least is not None and self.ours < self.at_least
        return too_much or too_little

    @property
    def target(self) -> str:
        if self.at_most is not None:
            return f"at most {shown(self.at_most, self.unit)}"
        if self.at_least is not None:
            return f"at least {shown(self.at_least, self.unit)}"
        return ""


def shown(value: float, unit: str) -> str:
    places = 1 if unit in ("s", "times") or (unit == "ms" and value < 10) else 0
    return f"{value:,.{places}f} {unit}".strip()


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile, by linear interpolation between the two values beside it."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def spread(
    name: str, ours_ms: Sequence[float], stock_ms: Sequence[float] | None = None, *, p50_at_most: float | None = None
) -> list[Figure]:
    """Return p50 and p95 of a series, in ms; nothing for an empty one."""
    if not ours_ms:
        return []

    def figure(percent: int, at_most: float | None) -> Figure:
        stock = percentile(stock_ms, percent) if stock_ms else None
        return Figure(f"{name}, p{percent}", "ms", percentile(ours_ms, percent), stock, at_most)

    return [figure(50, p50_at_most), figure(95, None)]


def gaps(runs: Sequence[Sequence[tuple[str, float]]]) -> list[tuple[str, float]]:
    """Return the events of runs that all wrote the same ones, each with the median of the ms since the one before.

    Parameters
    ----------
    runs : sequence of sequences
        Names of events and ms since the submission, for each run. Runs whose events are not the most frequent
        sequence are left out.
    """
    sequences = [tuple(name for name, _ in run) for run in runs]
    usual = statistics.mode(sequences)
    times_ms = [[ms for _, ms in run] for run, names in zip(runs, sequences, strict=True) if names == usual]
    since_ms = [[after - before for before, after in zip([0.0, *times], times, strict=False)] for times in times_ms]
    return [(name, statistics.median(column)) for name, column in zip(usual, zip(*since_ms, strict=True), strict=True)]


def figures_table(title: str, figures: Sequence[Figure], beside: str = "stock") -> Table:
    """Return a table of figures beside those of something else."""
    table = Table(title=title, title_justify="left")
    for heading in ("figure", beside, "ours", f"ours / {beside}", "to reach", ""):
        table.add_column(heading, justify="left" if heading in ("figure", "") else "right")
    for figure in figures:
        table.add_row(
            figure.name,
            "" if figure.stock is None else shown(figure.stock, figure.unit),
            shown(figure.ours, figure.unit),
            "" if figure.share_of_stock is None else f"{figure.share_of_stock:.2f}",
            figure.target,
            MISSED if figure.is_missed else "",
        )
    return table


def shares_table(title: str, parts: Sequence[tuple[str, float]], part: str = "until", places: int = 1) -> Table:
    """Return a table of what a whole is made of, in ms."""
    whole_ms = sum(ms for _, ms in parts)
    table = Table(title=title, title_justify="left")
    table.add_column(part)
    table.add_column("ms", justify="right")
    table.add_column("share", justify="right")
    for name, ms in parts:
        table.add_row(name, f"{ms:.{places}f}", f"{ms / whole_ms:.0%}")
    table.add_row("sum", f"{whole_ms:.{places}f}", "")
    return table
