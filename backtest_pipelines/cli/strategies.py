"""``backtest-pipelines strategies``: the catalogue, with every parameter's range and default."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from backtest_pipelines.market.symbols import SYMBOLS
from backtest_pipelines.strategies import catalogue
from backtest_pipelines.strategies.parameters import Choice, Parameter

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen
    from backtest_pipelines.strategies.variants import Variant

HELP = "List the strategy variants and their parameters"
EXAMPLES = "example: backtest-pipelines strategies"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no arguments of its own."""


def command(_arguments: argparse.Namespace, screen: Screen) -> int:
    """Print the catalogue."""
    if screen.as_json:
        variants = [_content(variant) for variant in catalogue.variants()]
        screen.json({"variants": variants, "symbols": list(SYMBOLS)})
        return 0
    for variant in catalogue.variants():
        screen.line(f"{variant.name}: {variant.description}")
        rows = (
            (
                parameter.name,
                str(parameter.default),
                parameter.limit.removeprefix("allowed: "),
                parameter.description,
            )
            for parameter in variant.parameters
        )
        screen.table("Parameters", ("name", "default", "allowed", "meaning"), rows)
    screen.line(f"symbols (--symbol, default {SYMBOLS[0]}): {', '.join(SYMBOLS)}")
    return 0


def _content(variant: Variant) -> dict[str, object]:
    return {
        "name": variant.name,
        "description": variant.description,
        "revision": variant.revision,
        "sessions_before_expiry": variant.sessions_before_expiry,
        "parameters": [_parameter(parameter) for parameter in variant.parameters],
    }


def _parameter(parameter: Parameter) -> dict[str, object]:
    common = {"name": parameter.name, "description": parameter.description, "limit": parameter.limit}
    if isinstance(parameter, Choice):
        choices = {str(value): meaning for value, meaning in parameter.meanings.items()}
        return {**common, "type": "choice", "default": parameter.default, "choices": choices}
    return {
        **common,
        "type": "percent",
        "default": float(parameter.default),
        "low": float(parameter.low),
        "high": float(parameter.high),
    }
