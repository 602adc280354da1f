"""Writers of a market's sessions in the exchange's own file formats, with their quirks and decoy rows."""

import random
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

from backtest_pipelines_tests.reference.market import INDEX_NAMES, INR_PER_LAKH, Market, Quote

LAST_LEGACY_SESSION = date(2024, 7, 5)
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")

LEGACY_HEADER = (
    "INSTRUMENT,SYMBOL,EXPIRY_DT,STRIKE_PR,OPTION_TYP,OPEN,HIGH,LOW,CLOSE,SETTLE_PR,CONTRACTS,VAL_INLAKH,"
    "OPEN_INT,CHG_IN_OI,TIMESTAMP,"
)
UDIFF_HEADER = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,FininstrmActlXpryDt,StrkPric,"
    "OptnTp,FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,PrvsClsgPric,UndrlygPric,SttlmPric,OpnIntrst,"
    "ChngInOpnIntrst,TtlTradgVol,TtlTrfVal,TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks,Rsvd1,Rsvd2,Rsvd3,Rsvd4"
)
INDEX_CLOSES_HEADER = (
    "Index Name,Index Date,Open Index Value,High Index Value,Low Index Value,Closing Index Value,"
    "Points Change,Change(%),Volume,Turnover (Rs. Cr.),P/E,P/B,Div Yield"
)


class FileNames(NamedTuple):
    """The exchange's names (unzipped) of one session's files."""

    legacy: str
    udiff: str
    index_closes: str


def names(session: date) -> FileNames:
    """Return the names of a session's files; a zipped one has `.zip` appended."""
    return FileNames(
        legacy=f"fo{session:%d}{MONTHS[session.month - 1]}{session:%Y}bhav.csv",
        udiff=f"BhavCopy_NSE_FO_0_0_0_{session:%Y%m%d}_F_0000.csv",
        index_closes=f"ind_close_all_{session:%d%m%Y}.csv",
    )


def write_market(folder: Path, market: Market, *, zipped: bool = True) -> list[Path]:
    """Write all sessions: each in the format that the exchange used on its date, and all index closes."""
    parts: dict[date, Market] = {}
    for quote in market.quotes:
        parts.setdefault(quote.session, Market([], [])).quotes.append(quote)
    for close in market.index_closes:
        parts.setdefault(close.session, Market([], [])).index_closes.append(close)
    paths = []
    for session, part in sorted(parts.items()):
        if part.quotes:
            write_bhavcopy = write_legacy if session <= LAST_LEGACY_SESSION else write_udiff
            paths.append(write_bhavcopy(folder, part, session, zipped=zipped))
        if part.index_closes:
            paths.append(write_index_closes(folder, part, session))
    return paths


def write_legacy(folder: Path, market: Market, session: date, *, zipped: bool = True) -> Path:
    """Write a legacy bhavcopy: turnover in lakh, no underlying, no lot size."""
    timestamp = _day_month_year(session).upper()
    closes = _index_closes(market, session)
    lines = [LEGACY_HEADER]
    for quote in sorted(_quotes(market, session), key=_legacy_order):
        is_future = quote.instrument == "FUT"
        price = _plain(quote.close)
        traded = price if quote.contracts else "0"
        fields = [
            "FUTIDX" if is_future else "OPTIDX",
            quote.symbol,
            _day_month_year(quote.expiry),
            "0" if is_future else _plain(quote.strike),
            "XX" if is_future else quote.instrument,
            *(traded, traded, traded, price),
            _plain(_settle(quote, closes)),
            str(quote.contracts),
            _plain(_turnover_inr(quote) / INR_PER_LAKH),
            str(quote.contracts * 75),
            "0",
            timestamp,
        ]
        lines.append(",".join(fields) + ",")
    expiry = _day_month_year(session)
    lines += [
        f"FUTIDX,MIDCPNIFTY,{expiry},0,XX,9010,9030,8990,9000.5,9000.5,12,81.01,900,75,{timestamp},",
        f"FUTSTK,RELIANCE,{expiry},0,XX,2000,2010,1990,2005.1,2005.1,100,501.28,25000,250,{timestamp},",
        f"OPTIDX,NIFTYNXT50,{expiry},60000,CE,0,0,0,101.35,60100,0,0,0,0,{timestamp},",
        f"OPTSTK,RELIANCE,{expiry},2000,CE,0,0,0,12.5,11.9,0,0,0,0,{timestamp},",
    ]
    return _write(folder, names(session).legacy, lines, zipped=zipped)


def write_udiff(folder: Path, market: Market, session: date, *, zipped: bool = True) -> Path:
    """Write a UDiFF bhavcopy: rows unsorted, turnover in INR.

    A quote without an underlying gets the session's index close (else none), one without a lot size gets 0.
    """
    closes = _index_closes(market, session)
    lines = []
    for number, quote in enumerate(_quotes(market, session)):
        is_future = quote.instrument == "FUT"
        price = f"{quote.close:.2f}"
        traded = price if quote.contracts else "0.00"
        underlying = closes.get(quote.symbol) if quote.underlying is None else quote.underlying
        strike = "" if is_future else f"{quote.strike:.2f}"
        kind = "" if is_future else quote.instrument
        month = f"{quote.expiry:%y}{MONTHS[quote.expiry.month - 1]}"
        name = f"{quote.symbol}{month}" + ("FUT" if is_future else f"{_plain(quote.strike)}{quote.instrument}")
        fields = [
            *(session.isoformat(), session.isoformat(), "FO", "NSE"),
            "IDF" if is_future else "IDO",
            *(str(40_000 + number), "", quote.symbol, ""),
            *(quote.expiry.isoformat(), quote.expiry.isoformat(), strike, kind, name),
            *(traded, traded, traded, price, traded, price),
            "" if underlying is None else f"{underlying:.2f}",
            f"{_settle(quote, closes):.2f}",
            *(str(quote.contracts * 75), "0", str(quote.contracts), f"{_turnover_inr(quote):.2f}"),
            *(str(quote.contracts), "F1", str(quote.lot_size or 0)),
            *("", "", "", "", ""),
        ]
        lines.append(",".join(fields))
    day = session.isoformat()
    traded_share = f"{day},{day},FO,NSE,STF,90001,,RELIANCE,,{day},{day}"
    untraded_index = f"{day},{day},FO,NSE,IDO,90002,,MIDCPNIFTY,,{day},{day}"
    lines += [
        f"{traded_share},,,RELIANCEFUT,5.00,6.00,4.00,5.50,5.50,5.00,5.45,5.50,500,0,3,8250.00,3,F1,500,,,,,",
        f"{untraded_index},9000.00,PE,MIDCPNIFTYPE,0.00,0.00,0.00,7.35,0.00,7.35,9050.00,7.35,0,0,0,0.00,0,F1,120,,,,,",
    ]
    random.Random(session.toordinal()).shuffle(lines)
    return _write(folder, names(session).udiff, [UDIFF_HEADER, *lines], zipped=zipped)


def write_index_closes(folder: Path, market: Market, session: date, *, zipped: bool = False) -> Path:
    """Write the index-close file of one session, with indices that nobody asked for."""
    day = f"{session:%d-%m-%Y}"
    lines = [INDEX_CLOSES_HEADER]
    for symbol, close in _index_closes(market, session, with_underlying=False).items():
        value = _plain(close)
        lines.append(f"{INDEX_NAMES[symbol]},{day},{value},{value},{value},{value},0,0,1000,10.5,20.1,3.1,1.2")
        lines.append(f"{INDEX_NAMES[symbol]} Arbitrage,{day},1,1,1,1.5,0,0,-,-,-,-,-")
    lines.append(f"Nifty Next 50,{day},60000,60000,60000,60000.05,0,0,1000,10.5,20.1,3.1,1.2")
    return _write(folder, names(session).index_closes, lines, zipped=zipped)


def _quotes(market: Market, session: date) -> list[Quote]:
    return [quote for quote in market.quotes if quote.session == session]


def _index_closes(market: Market, session: date, *, with_underlying: bool = True) -> dict[str, Decimal]:
    closes = {close.symbol: close.close for close in market.index_closes if close.session == session}
    if with_underlying:
        closes |= {q.symbol: q.underlying for q in _quotes(market, session) if q.underlying is not None}
    return closes


def _legacy_order(quote: Quote) -> tuple[bool, str, date, Decimal, str]:
    return (quote.instrument != "FUT", quote.symbol, quote.expiry, quote.strike, quote.instrument)


def _settle(quote: Quote, closes: dict[str, Decimal]) -> Decimal:
    """On expiry day the settle of every expiring contract is the index close."""
    return closes.get(quote.symbol, Decimal(0)) if quote.expiry == quote.session else quote.close + 1


def _turnover_inr(quote: Quote) -> Decimal:
    if quote.turnover_inr is None:
        raise ValueError(f"the exchange's files always carry the turnover: {quote}")
    return quote.turnover_inr


def _day_month_year(day: date) -> str:
    return f"{day:%d}-{MONTHS[day.month - 1].capitalize()}-{day:%Y}"


def _plain(number: Decimal) -> str:
    """Write a number as the legacy files do: no trailing zeros, no exponent."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _write(folder: Path, name: str, lines: list[str], *, zipped: bool) -> Path:
    content = "\n".join(lines) + "\n"
    if not zipped:
        path = folder / name
        path.write_text(content, "utf-8", newline="\n")
        return path
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path
