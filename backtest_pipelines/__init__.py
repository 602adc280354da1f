"""Exact, cached backtests of Indian index option strategies as Dagster assets."""

__version__ = "0.1.0"
