"""The market as plain rows, and a plain reader of the exchange's files into such rows."""

import csv
import io
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

SYMBOLS = ("NIFTY", "BANKNIFTY", "FINNIFTY")
INDEX_NAMES = {"NIFTY": "Nifty 50", "BANKNIFTY": "Nifty Bank", "FINNIFTY": "Nifty Financial Services"}
INR_PER_LAKH = 100_000


@dataclass(frozen=True)
class Quote:
    """One contract on one session: INR per unit, turnover in INR, `expiry` as listed on that session."""

    session: date
    symbol: str
    instrument: str  # FUT, CE or PE
    expiry: date
    strike: Decimal  # 0 for a future
    close: Decimal
    contracts: int
    turnover_inr: Decimal | None
    lot_size: int | None
    underlying: Decimal | None


@dataclass(frozen=True)
class IndexClose:
    """One symbol's index close from the index-close file."""

    session: date
    symbol: str
    close: Decimal


@dataclass(frozen=True)
class Market:
    """All that the exchange published."""

    quotes: list[Quote]
    index_closes: list[IndexClose]

    def sessions(self) -> list[date]:
        """Dates with a bhavcopy, whatever symbol it holds."""
        return sorted({quote.session for quote in self.quotes})

    def symbols(self) -> list[str]:
        """Symbols with at least one quote."""
        return [symbol for symbol in SYMBOLS if any(quote.symbol == symbol for quote in self.quotes)]

    def sorted(self) -> "Market":
        """Return the same rows in one fixed order, so that two markets can be compared."""
        return Market(
            sorted(self.quotes, key=lambda q: (q.session, q.symbol, q.instrument, q.expiry, q.strike)),
            sorted(self.index_closes, key=lambda close: (close.session, close.symbol)),
        )


def read_folder(folder: Path) -> Market:
    """Read every .csv and .zip of a folder: legacy and UDiFF bhavcopies and index closes, known by header."""
    market = Market([], [])
    seen: set[tuple[str, date]] = set()
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in {".csv", ".zip"}:
            continue
        rows = list(csv.DictReader(io.StringIO(_text(path))))
        header = rows[0]
        if "INSTRUMENT" in header:
            quotes = list(_legacy(rows))
            market.quotes.extend(quotes)
            kind, sessions = "bhavcopy", {quote.session for quote in quotes}
        elif "FinInstrmTp" in header:
            quotes = list(_udiff(rows))
            market.quotes.extend(quotes)
            kind, sessions = "bhavcopy", {quote.session for quote in quotes}
        elif "Index Name" in header:
            closes = list(_index_closes(rows))
            market.index_closes.extend(closes)
            kind, sessions = "index closes", {close.session for close in closes}
        else:
            raise ValueError(f"{path.name}: unknown header {list(header)}")
        for session in sessions:
            if (kind, session) in seen:
                raise ValueError(f"{path.name}: a second file with {kind} of {session}")
            seen.add((kind, session))
    return market


def _text(path: Path) -> str:
    if path.suffix.lower() == ".csv":
        return path.read_text("utf-8-sig")
    with zipfile.ZipFile(path) as archive:
        (member,) = archive.namelist()
        return archive.read(member).decode("utf-8-sig")


def _legacy(rows: list[dict[str, str]]) -> Iterator[Quote]:
    for row in rows:
        if row["SYMBOL"] in SYMBOLS and row["INSTRUMENT"] in {"FUTIDX", "OPTIDX"}:
            is_future = row["INSTRUMENT"] == "FUTIDX"
            yield Quote(
                session=_day_month_year(row["TIMESTAMP"]),
                symbol=row["SYMBOL"],
                instrument="FUT" if is_future else row["OPTION_TYP"],
                expiry=_day_month_year(row["EXPIRY_DT"]),
                strike=Decimal(0) if is_future else Decimal(row["STRIKE_PR"]),
                close=Decimal(row["CLOSE"]),
                contracts=int(row["CONTRACTS"]),
                turnover_inr=Decimal(row["VAL_INLAKH"]) * INR_PER_LAKH,
                lot_size=None,
                underlying=None,
            )


def _udiff(rows: list[dict[str, str]]) -> Iterator[Quote]:
    for row in rows:
        if (row["Sgmt"], row["Src"]) != ("FO", "NSE"):
            raise ValueError(f"not a derivatives file of NSE: Sgmt={row['Sgmt']} Src={row['Src']}")
        if row["TckrSymb"] in SYMBOLS and row["FinInstrmTp"] in {"IDF", "IDO"}:
            is_future = row["FinInstrmTp"] == "IDF"
            yield Quote(
                session=date.fromisoformat(row["TradDt"]),
                symbol=row["TckrSymb"],
                instrument="FUT" if is_future else row["OptnTp"],
                expiry=date.fromisoformat(row["XpryDt"]),
                strike=Decimal(0) if is_future else Decimal(row["StrkPric"]),
                close=Decimal(row["ClsPric"]),
                contracts=int(row["TtlTradgVol"]),
                turnover_inr=Decimal(row["TtlTrfVal"]),
                lot_size=int(row["NewBrdLotQty"] or 0) or None,
                underlying=Decimal(row["UndrlygPric"]) if row["UndrlygPric"] else None,
            )


def _index_closes(rows: list[dict[str, str]]) -> Iterator[IndexClose]:
    symbol_of: Mapping[str, str] = {name: symbol for symbol, name in INDEX_NAMES.items()}
    for row in rows:
        if row["Index Name"] in symbol_of:
            day = datetime.strptime(row["Index Date"], "%d-%m-%Y").date()  # noqa: DTZ007 - a date without a zone
            yield IndexClose(day, symbol_of[row["Index Name"]], Decimal(row["Closing Index Value"]))


def _day_month_year(text: str) -> date:
    """Parse `25-Mar-2021` or `18-MAR-2021`; `strptime` ignores the case of the month."""
    return datetime.strptime(text, "%d-%b-%Y").date()  # noqa: DTZ007 - a date without a zone
