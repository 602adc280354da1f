"""A sample market for demos and tests: invented prices in the exchange's own files.

What belongs here is everything that invents. It shares no rule table with the engine, so that each can be
checked against the other.
"""

from backtest_pipelines.market.sample.generate import SampleSummary, write_sample_market

__all__ = ["SampleSummary", "write_sample_market"]
