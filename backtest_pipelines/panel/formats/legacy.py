"""The exchange's own derivatives file to 5 July 2024, ``foDDMONYYYYbhav.csv``, and its re-exports.

Turnover is in lakh; there is no underlying and no lot size. Header and rows end with a comma, that is, with
an empty column. Futures have strike ``0`` and option type ``XX``.
"""

from __future__ import annotations

from typing import Final

from backtest_pipelines.panel.formats.bhavcopy import Layout

LEGACY_INSTRUMENTS: Final = {"FUTIDX": 0, "OPTIDX": 1, "FUTSTK": -1, "OPTSTK": -1, "FUTIVX": -1}
PAISE_PER_LAKH: Final = 10_000_000

LEGACY: Final = Layout(
    format="legacy",
    session="TIMESTAMP",
    symbol="SYMBOL",
    instrument="INSTRUMENT",
    instruments=LEGACY_INSTRUMENTS,
    expiry="EXPIRY_DT",
    strike="STRIKE_PR",
    option_type="OPTION_TYP",
    close="CLOSE",
    contracts="CONTRACTS",
    open_interest="OPEN_INT",
    turnover="VAL_INLAKH",
    turnover_paise_per_unit=PAISE_PER_LAKH,
)
