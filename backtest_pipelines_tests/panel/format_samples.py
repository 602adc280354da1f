"""Small files of each format as lines, and what the tests of the readers do with them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.panel.formats import read_exchange_file
from backtest_pipelines.panel.quotes import Bhavcopy

EPOCH = date(1970, 1, 1)
SESSION = date(2021, 3, 18)
UDIFF_SESSION = date(2025, 2, 3)
SYMBOLS = ("NIFTY", "BANKNIFTY", "FINNIFTY")

LEGACY_HEADER = (
    "INSTRUMENT,SYMBOL,EXPIRY_DT,STRIKE_PR,OPTION_TYP,OPEN,HIGH,LOW,CLOSE,SETTLE_PR,CONTRACTS,VAL_INLAKH,"
    "OPEN_INT,CHG_IN_OI,TIMESTAMP,"
)
LEGACY = (
    LEGACY_HEADER,
    "FUTSTK,ACC,25-Mar-2021,0,XX,1850,1863,1790,1800.5,1800.5,3052,27888.31,1931000,-116500,18-MAR-2021,",
    "FUTIDX,NIFTY,25-Mar-2021,0,XX,14880,14880,14475.1,14574.55,14574.55,281461,3102312.48,10,5,18-MAR-2021,",
    "OPTIDX,NIFTY,25-Mar-2021,14500,PE,100,200,90.5,150.25,150.25,20,218.5,1500,75,18-MAR-2021,",
    "OPTIDX,NIFTY,18-Mar-2021,14600,CE,0,0,0,0,12.5,0,0,0,0,18-MAR-2021,",
    "OPTIDX,NIFTY,18-Mar-2021,14500,CE,100,200,90.5,57.3,57.3,10,109.18,750,75,18-MAR-2021,",
    "OPTIDX,BANKNIFTY,25-Mar-2021,34000,CE,400,410,90,405.05,405.05,7,60.2,175,0,18-MAR-2021,",
    "OPTIDX,MIDCPNIFTY,25-Mar-2021,9000,CE,40,41,9,40.05,40.05,7,6.2,175,0,18-MAR-2021,",
)

UDIFF_HEADER = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,FininstrmActlXpryDt,StrkPric,OptnTp,"
    "FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,PrvsClsgPric,UndrlygPric,SttlmPric,OpnIntrst,"
    "ChngInOpnIntrst,TtlTradgVol,TtlTrfVal,TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks,Rsvd1,Rsvd2,Rsvd3,Rsvd4"
)


def udiff_row(  # one field of the format each
    symbol: str = "NIFTY",
    instrument: str = "IDO",
    expiry: str = "2025-02-06",
    strike: str = "23500.00",
    option_type: str = "CE",
    *,
    session: str = "2025-02-03",
    source: str = "NSE",
    segment: str = "FO",
    underlying: str = "23361.05",
) -> str:
    return (
        f"{session},{session},{segment},{source},{instrument},83774,,{symbol},,{expiry},{expiry},{strike},"
        f"{option_type},{symbol}25FEB,0.00,0.00,0.00,11.65,0.00,11.65,{underlying},6.95,150,75,3,5287500.75,2,F1,75,,,,,"
    )


UDIFF = (
    UDIFF_HEADER,
    udiff_row("ABCAPITAL", "STO", underlying="172.45"),
    udiff_row(),
    udiff_row("NIFTY", "IDF", "2025-02-27", "", ""),
    udiff_row("NIFTYNXT50", underlying="60000.00"),
    udiff_row("FINNIFTY", underlying="23089.60"),
)

CLEANED = (
    (
        "Date,ExpiryDate,Instrument,Symbol,StrikePrice,OptionType,Open,High,Low,Close,SettledPrice,Contracts,"
        "TurnOver,OpenInterest"
    ),
    "2021-03-18,2021-03-25,FUTIDX,NIFTY,0.0,XX,14880,14880,14475,14574.55,14574.55,281461,3102312.48,10",
    "2021-03-18,2021-03-25,OPTIDX,NIFTY,14500.0,PE,100,200,90.5,150.25,150.25,20.0,218.5,1500.0",
)

CLOSES = (
    (
        "Index Name,Index Date,Open Index Value,High Index Value,Low Index Value,Closing Index Value,"
        "Points Change,Change(%),Volume,Turnover (Rs. Cr.),P/E,P/B,Div Yield"
    ),
    "Nifty 50,18-03-2021,14855.5,14875.2,14478.6,14557.85,-163.45,-1.11,1,2,40.1,4.1,1.1",
    "Nifty Next 50,18-03-2021,-,-,-,-,-,-,-,-,-,-,-",
    "Nifty Bank,18-03-2021,34500,34700,33700,33856.8,-372.45,-1.09,1,2,3,4,5",
)


def write(folder: Path, lines: Iterable[str], name: str = "some.csv", end: str = "\n") -> Path:
    """Write lines as a file and return its path."""
    path = folder / name
    path.write_bytes(end.join([*lines, ""]).encode())
    return path


def zipped(folder: Path, name: str, members: dict[str, bytes]) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BadDataError) as caught:
        read_exchange_file(path)
    assert caught.value.name == path.name
    return str(caught.value)


def bhavcopy(path: Path) -> Bhavcopy:
    found = read_exchange_file(path)
    assert isinstance(found, Bhavcopy)
    return found


def changed(lines: tuple[str, ...], number: int, old: str, new: str) -> list[str]:
    """Replace a text once in the line of that number, counted from 1."""
    result = list(lines)
    assert old in result[number - 1]
    result[number - 1] = result[number - 1].replace(old, new, 1)
    return result


def day(number: int) -> date:
    return date.fromordinal(EPOCH.toordinal() + number)


def contracts(found: Bhavcopy) -> list[tuple[Any, ...]]:
    """All contracts as plain tuples, in the order of the arrays."""
    return [
        (
            symbol,
            ("FUT", "CE", "PE")[quotes.instrument[row]],
            day(int(quotes.expiry[row])),
            int(quotes.strike_paise[row]),
            int(quotes.close_paise[row]),
            int(quotes.contracts[row]),
            int(quotes.open_interest[row]),
            int(quotes.turnover_paise[row]),
            int(quotes.lot_size[row]),
        )
        for symbol, quotes in found.quotes.items()
        for row in range(len(quotes))
    ]


NEAR, FAR = date(2021, 3, 18), date(2021, 3, 25)
LEGACY_CONTRACTS = [
    ("NIFTY", "FUT", FAR, 0, 1457455, 281461, 10, 31023124800000, 0),
    ("NIFTY", "CE", NEAR, 1450000, 5730, 10, 750, 1091800000, 0),
    ("NIFTY", "CE", NEAR, 1460000, 0, 0, 0, 0, 0),
    ("NIFTY", "PE", FAR, 1450000, 15025, 20, 1500, 2185000000, 0),
    ("BANKNIFTY", "CE", FAR, 3400000, 40505, 7, 175, 602000000, 0),
]


def quoted(lines: tuple[str, ...]) -> list[str]:
    return [",".join(f'"{cell}"' for cell in line.split(",")) for line in lines]
