"""The index symbols whose derivatives are traded, and their names in the exchange's index files."""

from __future__ import annotations

from collections.abc import Mapping

INDEX_NAMES: Mapping[str, str] = {
    "NIFTY": "Nifty 50",
    "BANKNIFTY": "Nifty Bank",
    "FINNIFTY": "Nifty Financial Services",
}
"""Symbol of the derivatives segment -> ``Index Name`` of the daily index-close file."""

SYMBOLS: tuple[str, ...] = tuple(INDEX_NAMES)
