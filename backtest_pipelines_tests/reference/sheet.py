"""The market of the published trade sheet: its quotes among decoys, and its trades."""

import csv
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from backtest_pipelines_tests.reference.market import INR_PER_LAKH, IndexClose, Market, Quote
from backtest_pipelines_tests.reference.notices import Row
from backtest_pipelines_tests.reference.question import Question

FIRST_SESSION = date(2019, 2, 21)
LAST_SESSION = date(2021, 12, 2)
LISTED_AHEAD = timedelta(days=35)  # of an option
DECOY_PRICE = Decimal("4321.05")


def sheet_question(real_data: Path) -> Question:
    """Return the parameters and the phases with which the sheet was made."""
    phases = [
        (date.fromisoformat(row["start"]), date.fromisoformat(row["end"]))
        for row in _rows(real_data / "tradesheet" / "phases.csv")
    ]
    return Question(call_sell_position=Decimal("1.0"), phases=phases)


def sheet_trades(real_data: Path) -> list[Row]:
    """Return the sheet's trades under the documented names; turnover in INR."""
    return [
        {
            "entry_date": date.fromisoformat(row["Entry Date"]),
            "exit_date": date.fromisoformat(row["Exit Date"]),
            "entry_spot": Decimal(row["Entry Spot"]),
            "exit_spot": Decimal(row["Exit Spot"]),
            "call_expiry": date.fromisoformat(row["Call Expiry"]),
            "call_strike": Decimal(row["Call Strike"]),
            "call_entry_price": Decimal(row["Call EntryPrice"]),
            "call_exit_price": Decimal(row["Call ExitPrice"]),
            "call_pnl": Decimal(row["Call P&L"]),
            "future_expiry": date.fromisoformat(row["Future Expiry"]),
            "future_entry_price": Decimal(row["Future EntryPrice"]),
            "future_exit_price": Decimal(row["Future ExitPrice"]),
            "future_pnl": Decimal(row["Future P&L"]),
            "net_pnl": Decimal(row["Net P&L"]),
            "call_entry_turnover_inr": Decimal(row["Call Entry Turnover"]) * INR_PER_LAKH,
            "call_exit_turnover_inr": Decimal(row["Call Exit Turnover"]) * INR_PER_LAKH,
        }
        for row in _rows(real_data / "tradesheet" / "sheet.csv")
    ]


def sheet_market(real_data: Path) -> Market:
    """Return every session of the sheet: all listed expiries, the sheet's contracts, and decoys around them.

    Decoys are puts at the same strikes, an untraded call at each nearer hundred, a traded call off the
    hundred, far contracts of every listed expiry, futures of the two next months and another symbol.
    """
    sessions = [
        day
        for row in _rows(real_data / "calendar" / "trading_days.csv")
        if FIRST_SESSION <= (day := date.fromisoformat(row["date"])) <= LAST_SESSION
    ]
    spot = {date.fromisoformat(row["date"]): Decimal(row["close"]) for row in _rows(real_data / "spot" / "NIFTY.csv")}
    calendar = _rows(real_data / "calendar" / "NIFTY_expiries.csv")
    expiries = [date.fromisoformat(row["expiry"]) for row in calendar]
    months = [date.fromisoformat(row["expiry"]) for row in calendar if row["type"] == "monthly"]
    real = _sheet_quotes(real_data)

    quotes = []
    for session in sessions:
        known = real.get(session, [])
        quotes.extend(known)
        contracts = {(q.symbol, q.instrument, q.expiry, q.strike) for q in known}
        quotes.extend(
            decoy
            for decoy in _decoys(session, spot[session], expiries, months, known)
            if (decoy.symbol, decoy.instrument, decoy.expiry, decoy.strike) not in contracts
        )
    return Market(quotes, [IndexClose(session, "NIFTY", spot[session]) for session in sessions])


def _sheet_quotes(real_data: Path) -> dict[date, list[Quote]]:
    found: dict[date, list[Quote]] = {}
    for row in _rows(real_data / "tradesheet" / "quotes.csv"):
        is_future = row["instrument"] == "FUTIDX"
        quote = _quote(
            session=date.fromisoformat(row["date"]),
            instrument="FUT" if is_future else row["option_type"],
            expiry=date.fromisoformat(row["expiry"]),
            strike=Decimal(row["strike"]),
            close=Decimal(row["close"]),
            contracts=1000,
            turnover_inr=Decimal(row["turnover_raw"] or 0) * INR_PER_LAKH,
        )
        found.setdefault(quote.session, []).append(quote)
    return found


def _decoys(session: date, spot: Decimal, expiries: list[date], months: list[date], known: list[Quote]) -> list[Quote]:
    listed = [day for day in expiries if session <= day <= session + LISTED_AHEAD]
    next_months = [day for day in months if day >= session][:3]
    at_the_money = round(spot / 100) * Decimal(100)
    far = at_the_money * 2
    decoys = [_quote(session, "FUT", month, Decimal(0), DECOY_PRICE, 500) for month in next_months]
    for expiry in sorted({*listed, *next_months}):
        decoys.append(_quote(session, "CE", expiry, far, DECOY_PRICE, 0))
        decoys.append(_quote(session, "PE", expiry, at_the_money, DECOY_PRICE, 500))
        decoys.append(_quote(session, "CE", expiry, at_the_money + 150, DECOY_PRICE, 500))
        decoys.append(_quote(session, "CE", expiry, at_the_money + 50, DECOY_PRICE, 500))
        sold = {q.strike for q in known if q.instrument == "CE" and q.expiry == expiry}
        nearer = {strike - 100 * n for strike in sold for n in (1, 2)} - sold
        decoys.extend(_quote(session, "CE", expiry, strike, DECOY_PRICE, 0) for strike in sorted(nearer))
        decoys.extend(
            _quote(session, "PE", expiry, strike, DECOY_PRICE, 500) for strike in sorted(sold - {at_the_money})
        )
    bank_month = next_months[0]
    decoys.append(_quote(session, "FUT", bank_month, Decimal(0), DECOY_PRICE, 500, symbol="BANKNIFTY"))
    decoys.append(_quote(session, "CE", session, at_the_money, DECOY_PRICE, 500, symbol="BANKNIFTY"))
    return decoys


def _quote(
    session: date,
    instrument: str,
    expiry: date,
    strike: Decimal,
    close: Decimal,
    contracts: int,
    *,
    turnover_inr: Decimal = Decimal(0),
    symbol: str = "NIFTY",
) -> Quote:
    return Quote(session, symbol, instrument, expiry, strike, close, contracts, turnover_inr, None, None)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
