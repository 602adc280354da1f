"""The exchange's own daily files, written from a session of the sample market.

What belongs here is text: names, headers, columns and number formats of the legacy bhavcopy, the UDiFF
bhavcopy and the file of index closes, and writing them so that the same text gives the same bytes.
"""

from __future__ import annotations

import io
import zipfile
from datetime import date
from pathlib import Path

import numpy as np

from backtest_pipelines.atomic import write_atomic
from backtest_pipelines.market.sample import prices
from backtest_pipelines.market.sample.chain import CALL, FUTURE, Block
from backtest_pipelines.market.sample.trading import Bhavcopy

FIRST_UDIFF_SESSION = date(2024, 7, 8)

LEGACY_HEADER = (
    "INSTRUMENT,SYMBOL,EXPIRY_DT,STRIKE_PR,OPTION_TYP,OPEN,HIGH,LOW,CLOSE,SETTLE_PR,"
    "CONTRACTS,VAL_INLAKH,OPEN_INT,CHG_IN_OI,TIMESTAMP,"
)
UDIFF_HEADER = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,FininstrmActlXpryDt,StrkPric,OptnTp,"
    "FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,PrvsClsgPric,UndrlygPric,SttlmPric,OpnIntrst,"
    "ChngInOpnIntrst,TtlTradgVol,TtlTrfVal,TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks,Rsvd1,Rsvd2,Rsvd3,Rsvd4"
)
INDEX_CLOSE_HEADER = (
    "Index Name,Index Date,Open Index Value,High Index Value,Low Index Value,Closing Index Value,"
    "Points Change,Change(%),Volume,Turnover (Rs. Cr.),P/E,P/B,Div Yield"
)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKLY_MONTHS = "123456789OND"


def write_bhavcopy(folder: Path, bhavcopy: Bhavcopy) -> None:
    """Write a session's bhavcopy as the zip file of its time: legacy, and UDiFF from 8 July 2024."""
    day = bhavcopy.session
    if day >= FIRST_UDIFF_SESSION:
        name, text = f"BhavCopy_NSE_FO_0_0_0_{day:%Y%m%d}_F_0000.csv", udiff_text(bhavcopy)
    else:
        name, text = f"fo{_legacy_date(day).replace('-', '').upper()}bhav.csv", legacy_text(bhavcopy)
    member = zipfile.ZipInfo(name, date_time=(day.year, day.month, day.day, 18, 30, 0))
    member.compress_type = zipfile.ZIP_DEFLATED
    member.create_system = 3
    member.external_attr = 0o644 << 16
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(member, text, compresslevel=4)
    write_atomic(folder / f"{name}.zip", lambda file: file.write(packed.getvalue()))


def write_index_closes(folder: Path, paths: prices.Paths, position: int) -> None:
    """Write the index closes of the session at a position of the paths."""
    name = f"ind_close_all_{paths.days[position]:%d%m%Y}.csv"
    write_atomic(folder / name, lambda file: file.write(index_close_text(paths, position).encode()))


def udiff_text(bhavcopy: Bhavcopy) -> str:
    """Return a UDiFF bhavcopy: 34 columns, rows in no order, prices with two decimals, turnover in INR."""
    chain = bhavcopy.chain
    day = bhavcopy.session.isoformat()
    heads = []
    for block in chain.blocks:
        expiry = block.expiry.listed.isoformat()
        head = f"{day},{day},FO,NSE,{'ID' if block.is_index else 'ST'}"
        middle = f",,{block.symbol},,{expiry},{expiry},"
        tail = f",F1,{block.lot_size},,,,,"
        heads.append((head, middle, _name_stem(block), tail, f"{block.underlying_close_paise / 100:.2f}"))
    order = np.random.default_rng(bhavcopy.session.toordinal()).permutation(len(chain.block))
    columns = (
        chain.block,
        chain.kind,
        chain.strike_inr,
        bhavcopy.token,
        bhavcopy.open_paise / 100,
        bhavcopy.high_paise / 100,
        bhavcopy.low_paise / 100,
        bhavcopy.close_paise / 100,
        bhavcopy.last_paise / 100,
        bhavcopy.previous_close_paise / 100,
        bhavcopy.settle_paise / 100,
        bhavcopy.open_interest,
        bhavcopy.open_interest_change,
        bhavcopy.contracts,
        bhavcopy.turnover_paise // 100,
        bhavcopy.turnover_paise % 100,
        bhavcopy.trades,
    )
    lines = [UDIFF_HEADER]
    for block, kind, strike, token, *values in zip(*(column[order].tolist() for column in columns), strict=True):
        head, middle, stem, tail, underlying = heads[block]
        if kind == FUTURE:
            contract, letter = f",,{stem}FUT", "F"
        else:
            side = "CE" if kind == CALL else "PE"
            contract, letter = f"{strike}.00,{side},{stem}{strike}{side}", "O"
        traded = (
            "{:.2f},{:.2f},{:.2f},{:.2f},{:.2f},{:.2f},".format(*values[:6])
            + underlying
            + ",{:.2f},{},{},{},{}.{:02d},{}".format(*values[6:])
        )
        lines.append(f"{head}{letter},{token}{middle}{contract},{traded}{tail}")
    return "\n".join(lines) + "\n"


def legacy_text(bhavcopy: Bhavcopy) -> str:
    """Return a legacy bhavcopy: sorted rows, a trailing comma, no trailing zeros, turnover in lakh."""
    chain = bhavcopy.chain
    stamp = _legacy_date(bhavcopy.session).upper()
    heads = [
        (f"{'IDX' if block.is_index else 'STK'},{block.symbol},{_legacy_date(block.expiry.listed)},")
        for block in chain.blocks
    ]
    is_index = np.array([block.is_index for block in chain.blocks])[chain.block]
    is_option = chain.kind != FUTURE
    order = np.lexsort((chain.strike_inr, chain.kind, chain.block, ~is_index, is_option))
    columns = (
        chain.block,
        chain.kind,
        chain.strike_inr,
        bhavcopy.open_paise / 100,
        bhavcopy.high_paise / 100,
        bhavcopy.low_paise / 100,
        bhavcopy.close_paise / 100,
        bhavcopy.settle_paise / 100,
        bhavcopy.contracts,
        np.rint(bhavcopy.turnover_paise / 100_000) / 100,
        bhavcopy.open_interest,
        bhavcopy.open_interest_change,
    )
    lines = [LEGACY_HEADER]
    for block, kind, strike, *values in zip(*(column[order].tolist() for column in columns), strict=True):
        head = heads[block]
        contract = f"FUT{head}0,XX" if kind == FUTURE else f"OPT{head}{strike},{'CE' if kind == CALL else 'PE'}"
        traded = "{:.14g},{:.14g},{:.14g},{:.14g},{:.14g},{},{:.14g},{},{}".format(*values)
        lines.append(f"{contract},{traded},{stamp},")
    return "\n".join(lines) + "\n"


def index_close_text(paths: prices.Paths, position: int) -> str:
    """Return a file of index closes; volumes and ratios are the exchange's mark for none."""
    stamp = f"{paths.days[position]:%d-%m-%Y}"
    lines = [INDEX_CLOSE_HEADER]
    for number, underlying in enumerate(prices.UNDERLYINGS):
        if not underlying.index_name:
            continue
        day = (paths.open_paise, paths.high_paise, paths.low_paise, paths.close_paise)
        values = ",".join(f"{int(column[position, number]) / 100:.14g}" for column in day)
        close = int(paths.close_paise[position, number])
        before = int(paths.close_paise[position - 1, number])
        change = f"{(close - before) / 100:.14g},{(close / before - 1) * 100:.2f}"
        lines.append(f"{underlying.index_name},{stamp},{values},{change},-,-,-,-,-")
    return "\n".join(lines) + "\n"


def _legacy_date(day: date) -> str:
    return f"{day.day:02d}-{_MONTHS[day.month - 1]}-{day.year}"


def _name_stem(block: Block) -> str:
    """Return symbol and expiry as in the exchange's contract names: 25206 for a weekly, 25FEB for a month."""
    expiry = block.expiry
    if expiry.kind == "weekly":
        day = expiry.listed
        return f"{block.symbol}{day:%y}{_WEEKLY_MONTHS[day.month - 1]}{day:%d}"
    year, month = divmod(expiry.series, 100)
    return f"{block.symbol}{year % 100:02d}{_MONTHS[month - 1].upper()}"
