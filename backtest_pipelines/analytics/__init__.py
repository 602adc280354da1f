"""What a backtest's trades amount to: equity, statistics, pivot and pictures.

Pure functions from arrays to arrays, JSON-able values and SVG. Nothing here selects trades, reads files or
knows prices other than those it is given.
"""
