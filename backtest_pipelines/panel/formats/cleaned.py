"""A cleaned form of the legacy file that is passed around: other column names, the same texts and units."""

from __future__ import annotations

from typing import Final

from backtest_pipelines.panel.formats.bhavcopy import Layout
from backtest_pipelines.panel.formats.legacy import LEGACY_INSTRUMENTS, PAISE_PER_LAKH

CLEANED: Final = Layout(
    format="cleaned",
    session="Date",
    symbol="Symbol",
    instrument="Instrument",
    instruments=LEGACY_INSTRUMENTS,
    expiry="ExpiryDate",
    strike="StrikePrice",
    option_type="OptionType",
    close="Close",
    contracts="Contracts",
    open_interest="OpenInterest",
    turnover="TurnOver",
    turnover_paise_per_unit=PAISE_PER_LAKH,
    turnover_optional=True,
)
