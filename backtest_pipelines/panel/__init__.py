"""The exchange's daily files as one columnar, memory-mapped store per symbol. Nothing here knows a strategy."""
