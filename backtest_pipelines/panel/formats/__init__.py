"""Readers of the exchange's daily files, and of what others made of them."""

from backtest_pipelines.panel.formats.read import peek_session, read_exchange_file

__all__ = ["peek_session", "read_exchange_file"]
