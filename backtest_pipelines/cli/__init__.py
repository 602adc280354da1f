"""The command ``backtest-pipelines``: a file per command, `entry` that runs it, `screen` that prints.

A command turns arguments into a call of another room and its result into lines or JSON; it holds no rule of
the domain. It starts fast: argparse costs 10 ms to import where click costs 35 and typer 115 of the 500 that
a whole ``run`` may take, and what is heavy (numpy, pyarrow, rich) is imported in the command that needs it.
Dagster is never imported here.
"""

from backtest_pipelines.cli.entry import main

__all__ = ["main"]
