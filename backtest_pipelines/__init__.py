"""Exact, cached backtests of Indian index option strategies as Dagster assets."""
