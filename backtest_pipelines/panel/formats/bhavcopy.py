"""The derivatives file of a session, whatever its layout: rows checked, sorted and turned into quotes.

Here belongs what holds for every layout; the names of columns and texts are said by `legacy`, `udiff` and
`cleaned`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.market.symbols import SYMBOLS
from backtest_pipelines.panel.formats import columns
from backtest_pipelines.panel.formats.columns import Rows
from backtest_pipelines.panel.formats.text import CsvText
from backtest_pipelines.panel.keys import CALL, FUTURE, PUT, contract_keys
from backtest_pipelines.panel.quotes import Bhavcopy, Quotes

_NOT_KEPT: Final = -1
_NO_STRIKE: Final = 0
_NO_UNDERLYING: Final = -1
_COMMON_ENDING: Final = b"NIFTY"
"""Every symbol that is read ends with it."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of the columns and texts of one format.

    Attributes
    ----------
    format : str
        Name of the format.
    instruments : Mapping[str, int]
        Text of the instrument column: 0 for index futures, 1 for index options, -1 for what is not read.
    turnover_paise_per_unit : int
        100 where turnover is in INR, 10,000,000 where it is in lakh.
    turnover_optional : bool
        The file may lack the turnover column.
    underlying, lot_size : str or None
        None where the format has no such column.
    publisher : Mapping[str, tuple[str, str]]
        Column to the text that every row must have there, and what to say of another one (``{}``).
    """

    format: str
    session: str
    symbol: str
    instrument: str
    instruments: Mapping[str, int]
    expiry: str
    strike: str
    option_type: str
    close: str
    contracts: str
    open_interest: str
    turnover: str
    turnover_paise_per_unit: int
    turnover_optional: bool = False
    underlying: str | None = None
    lot_size: str | None = None
    publisher: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns without which a file cannot be read."""
        names = [self.session, self.symbol, self.instrument, self.expiry, self.strike, self.option_type]
        names += [self.close, self.contracts, self.open_interest, *self.publisher]
        names += [] if self.turnover_optional else [self.turnover]
        names += [name for name in (self.underlying, self.lot_size) if name]
        return tuple(names)


def session_of(rows: Rows, layout: Layout) -> int:
    """Check who published the rows and read their one session, as days since 1970-01-01.

    Raises
    ------
    BadDataError
        Another publisher's file, or several sessions.
    """
    for column, (text, otherwise) in layout.publisher.items():
        code, values = columns.codes(rows, column)
        for index, value in enumerate(values):
            if value != text:
                rows.refuse(int((code == index).argmax()), otherwise.format(value or "nobody"))
    return columns.single_day(rows, layout.session)


def read_bhavcopy(text: CsvText, layout: Layout) -> Bhavcopy:
    """Read the index futures and options of the symbols.

    Parameters
    ----------
    text : CsvText
        Its header has the needed columns of `layout`.
    layout : Layout
        The format.

    Raises
    ------
    BadDataError
        Any row of the symbols is not what it should be, or there is none.
    """
    has_turnover = layout.turnover in text.header
    is_wanted = np.zeros(text.line_count, np.bool_)
    is_wanted[text.lines_with_ending(_COMMON_ENDING)] = True
    # The first and the last row tell who published which session where no row of a symbol does.
    is_wanted[[1, -1]] = True
    is_wanted[0] = False
    names = [*layout.needed, layout.turnover] if has_turnover and layout.turnover_optional else layout.needed
    rows = text.rows(np.flatnonzero(is_wanted), names)
    session = session_of(rows, layout)

    symbol_number = {symbol: number for number, symbol in enumerate(SYMBOLS)}
    rows = rows.where(columns.looked_up(rows, layout.symbol, symbol_number, unknown=_NOT_KEPT) != _NOT_KEPT)
    rows = rows.where(columns.looked_up(rows, layout.instrument, layout.instruments) != _NOT_KEPT)
    if not len(rows):
        raise BadDataError(text.name, f"holds no row of {', '.join(SYMBOLS)}")
    quotes = _all_quotes(rows, layout, session, has_turnover=has_turnover)
    underlying = columns.prices_paise(rows, layout.underlying, missing=_NO_UNDERLYING) if layout.underlying else None

    symbol = columns.looked_up(rows, layout.symbol, symbol_number)
    by_symbol: dict[str, Quotes] = {}
    underlying_paise: dict[str, int] = {}
    for name, number in symbol_number.items():
        row = np.flatnonzero(symbol == number)
        if not row.size:
            continue
        by_symbol[name] = _sorted_quotes(rows, quotes, row, session)
        if layout.underlying and underlying is not None:
            paise = _one_underlying(rows, layout.underlying, underlying, row)
            if paise != _NO_UNDERLYING:
                underlying_paise[name] = paise
    return Bhavcopy(session, layout.format, by_symbol, underlying_paise, len(rows))


def _all_quotes(rows: Rows, layout: Layout, session: int, *, has_turnover: bool) -> Quotes:
    """Read all rows of all symbols, in the order of the file."""
    is_option = columns.looked_up(rows, layout.instrument, layout.instruments) == 1
    option_type = columns.looked_up(rows, layout.option_type, {"CE": CALL, "PE": PUT, "XX": FUTURE, "": FUTURE})
    rows.refuse_first(is_option & (option_type == FUTURE), layout.option_type, "of an option; allowed: CE, PE")
    rows.refuse_first(~is_option & (option_type != FUTURE), layout.option_type, "of a future; allowed: XX, empty")
    strike = columns.prices_paise(rows, layout.strike, missing=_NO_STRIKE)
    rows.refuse_first(is_option & (strike == _NO_STRIKE), layout.strike, "of an option; a strike above 0 is needed")
    rows.refuse_first(~is_option & (strike != _NO_STRIKE), layout.strike, "of a future; allowed: 0, empty")
    expiry = columns.days(rows, layout.expiry)
    rows.refuse_first(expiry < session, layout.expiry, f"is before the session, {rows.cell(layout.session, 0)}")
    close = columns.prices_paise(rows, layout.close)
    contracts = columns.counts(rows, layout.contracts)
    rows.refuse_first((close == 0) & (contracts > 0), layout.close, "of a traded contract; a price above 0 is needed")
    if has_turnover:
        turnover = columns.turnover_paise(rows, layout.turnover, layout.turnover_paise_per_unit)
    else:
        turnover = np.full(len(rows), -1, np.int64)
    lot_size = columns.counts(rows, layout.lot_size) if layout.lot_size else np.zeros(len(rows), np.int64)
    return Quotes(
        option_type.astype(np.int8),
        expiry,
        strike,
        close,
        contracts,
        columns.counts(rows, layout.open_interest),
        turnover,
        lot_size.astype(np.int32),
    )


def _sorted_quotes(rows: Rows, quotes: Quotes, row: NDArray[np.int64], session: int) -> Quotes:
    """Take the quotes of the given rows, sorted; refuse a contract that is listed twice."""
    key = contract_keys(
        session,
        quotes.instrument[row].astype(np.int64),
        quotes.expiry[row].astype(np.int64),
        quotes.strike_paise[row],
    )
    order = np.argsort(key, kind="stable")
    key, row = key[order], row[order]
    repeats = np.flatnonzero(key[1:] == key[:-1])
    if repeats.size:
        second = repeats[row[repeats + 1].argmin()] + 1
        line = rows.line[row[second - 1]]
        rows.refuse(row[second], f"the same symbol, instrument, expiry, strike and option type as in line {line}")
    return Quotes(
        quotes.instrument[row],
        quotes.expiry[row],
        quotes.strike_paise[row],
        quotes.close_paise[row],
        quotes.contracts[row],
        quotes.open_interest[row],
        quotes.turnover_paise[row],
        quotes.lot_size[row],
    )


def _one_underlying(rows: Rows, column: str, paise: NDArray[np.int64], row: NDArray[np.int64]) -> int:
    """Give the underlying that the rows of a symbol share, -1 where all are empty."""
    first = int(row[0])
    other = row[paise[row] != paise[first]]
    if other.size:
        reason = f"differs from {rows.cell(column, first)!r} of the same symbol in line {rows.line[first]}"
        rows.refuse(other[0], f"{column} {rows.cell(column, int(other[0]))!r} {reason}")
    if paise[first] == 0:
        rows.refuse(first, f"{column} {rows.cell(column, first)!r} of an index; a price above 0 is needed")
    return int(paise[first])
