"""The closes of all indices of a session, ``ind_close_all_DDMMYYYY.csv``."""

from __future__ import annotations

from typing import Final

import numpy as np

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.market.symbols import INDEX_NAMES
from backtest_pipelines.panel.formats import columns
from backtest_pipelines.panel.formats.columns import Rows
from backtest_pipelines.panel.formats.text import CsvText
from backtest_pipelines.panel.quotes import IndexCloses

_NAME: Final = "Index Name"
_SESSION: Final = "Index Date"
_CLOSE: Final = "Closing Index Value"
NEEDED: Final = (_NAME, _SESSION, _CLOSE)


def session_of(rows: Rows) -> int:
    """Read the one session of the rows, as days since 1970-01-01.

    Raises
    ------
    BadDataError
        No date, or several.
    """
    return columns.single_day(rows, _SESSION, day_first=True)


def read_index_closes(text: CsvText) -> IndexCloses:
    """Read the closes of the symbols' indices.

    Parameters
    ----------
    text : CsvText
        Its header has the columns ``NEEDED``.

    Raises
    ------
    BadDataError
        A row is not what it should be, an index is there twice, or none is there.
    """
    rows = text.rows(np.arange(1, text.line_count), NEEDED)
    session = session_of(rows)
    symbols = list(INDEX_NAMES)
    number = {name: symbols.index(symbol) for symbol, name in INDEX_NAMES.items()}
    rows = rows.where(columns.looked_up(rows, _NAME, number, unknown=-1) != -1)
    if not len(rows):
        raise BadDataError(text.name, f"holds no row of {', '.join(INDEX_NAMES.values())}")
    close = columns.prices_paise(rows, _CLOSE)
    rows.refuse_first(close == 0, _CLOSE, "of an index; a price above 0 is needed")
    close_paise: dict[str, int] = {}
    for row, index in enumerate(columns.looked_up(rows, _NAME, number)):
        symbol = symbols[index]
        if symbol in close_paise:
            rows.refuse(row, f"{_NAME} {INDEX_NAMES[symbol]!r} is there a second time")
        close_paise[symbol] = int(close[row])
    return IndexCloses(session, close_paise, len(rows))
