"""A real Valkey for the tests of this folder."""

from backtest_pipelines_tests.servers import own_valkey, valkey, valkey_process

__all__ = ["own_valkey", "valkey", "valkey_process"]
