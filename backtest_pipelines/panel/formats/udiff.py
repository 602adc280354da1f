"""The exchange's derivatives file since 8 July 2024, ``BhavCopy_NSE_FO_0_0_0_YYYYMMDD_F_0000.csv`` (UDiFF).

Turnover is in INR. Futures have neither strike nor option type. Other exchanges and segments publish the same
header.
"""

from __future__ import annotations

from typing import Final

from backtest_pipelines.market.units import PAISE_PER_INR
from backtest_pipelines.panel.formats.bhavcopy import Layout

_ONLY: Final = "only files of NSE's derivatives segment (Src=NSE, Sgmt=FO) are read"

UDIFF: Final = Layout(
    format="udiff",
    session="TradDt",
    symbol="TckrSymb",
    instrument="FinInstrmTp",
    instruments={"IDF": 0, "IDO": 1, "STF": -1, "STO": -1},
    expiry="XpryDt",
    strike="StrkPric",
    option_type="OptnTp",
    close="ClsPric",
    contracts="TtlTradgVol",
    open_interest="OpnIntrst",
    turnover="TtlTrfVal",
    turnover_paise_per_unit=PAISE_PER_INR,
    underlying="UndrlygPric",
    lot_size="NewBrdLotQty",
    publisher={"Src": ("NSE", "published by {}; " + _ONLY), "Sgmt": ("FO", "of segment {}; " + _ONLY)},
)
