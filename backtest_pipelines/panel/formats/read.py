"""Recognition of a file of the exchange by its header, and the ways to read it: whole or its session only."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.market.units import date_of
from backtest_pipelines.panel.formats import bhavcopy, index_closes
from backtest_pipelines.panel.formats.archive import HEAD_BYTES, Content, read_content
from backtest_pipelines.panel.formats.cleaned import CLEANED
from backtest_pipelines.panel.formats.dates import dates_in_name
from backtest_pipelines.panel.formats.legacy import LEGACY
from backtest_pipelines.panel.formats.text import CsvText, split_lines
from backtest_pipelines.panel.formats.udiff import UDIFF
from backtest_pipelines.panel.quotes import Bhavcopy, IndexCloses

_Format: TypeAlias = bhavcopy.Layout | None
"""None stands for the index closes."""

_NEEDED: Final[dict[str, tuple[_Format, tuple[str, ...]]]] = {
    "a legacy bhavcopy": (LEGACY, LEGACY.needed),
    "a UDiFF bhavcopy": (UDIFF, UDIFF.needed),
    "a cleaned bhavcopy": (CLEANED, CLEANED.needed),
    "a file of index closes": (None, index_closes.NEEDED),
}


def read_exchange_file(path: Path) -> Bhavcopy | IndexCloses:
    """Read a bhavcopy or a file of index closes, plain or zipped.

    Parameters
    ----------
    path : Path
        The file. Its name decides nothing; a date in it must be the session's.

    Returns
    -------
    Bhavcopy or IndexCloses
        What the file says of NIFTY, BANKNIFTY and FINNIFTY.

    Raises
    ------
    BadDataError
        Anything wrong, with the line where there is one (the header is line 1).
    """
    content = read_content(path)
    text = split_lines(path.name, content.data)
    layout = _recognise(text)
    text.check_field_count()
    found = index_closes.read_index_closes(text) if layout is None else bhavcopy.read_bhavcopy(text, layout)
    _check_names(content, found.session)
    return found


def peek_session(path: Path) -> tuple[str, date]:
    """Read the kind and the session of a file from its first row, and no more than that.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    kind : str
        "bhavcopy" or "index_closes".
    session : date
        The session of the first row. The other rows, and a zip's checksum, are left unread.

    Raises
    ------
    BadDataError
        The file is not recognised, or its first row has no session or not the one of the file's name.
    """
    content = read_content(path, head_only=True)
    text = split_lines(path.name, content.data, is_head=len(content.data) == HEAD_BYTES)
    layout = _recognise(text)
    if layout is None:
        kind, session = "index_closes", index_closes.session_of(text.rows(np.array([1]), index_closes.NEEDED))
    else:
        kind, session = "bhavcopy", bhavcopy.session_of(text.rows(np.array([1]), layout.needed), layout)
    _check_names(content, session)
    return kind, date_of(session)


def _recognise(text: CsvText) -> _Format:
    """Find the format most of whose columns the header has, and refuse it where one is missing."""
    present = set(text.header)
    kind = max(_NEEDED, key=lambda name: len(present.intersection(_NEEDED[name][1])) / len(_NEEDED[name][1]))
    layout, needed = _NEEDED[kind]
    missing = [name for name in needed if name not in present]
    if 2 * len(missing) > len(needed):
        raise BadDataError(text.name, f"the header is not that of {', '.join(_NEEDED)}", 1)
    if missing:
        raise BadDataError(text.name, f"the header is that of {kind}, without {', '.join(missing)}", 1)
    for name in present - {""}:
        if text.header.count(name) > 1:
            raise BadDataError(text.name, f"the header has {name} more than once", 1)
    return layout


def _check_names(content: Content, session: int) -> None:
    inside = date_of(session)
    for name in content.names:
        named = dates_in_name(name)
        if named and inside not in named:
            dates = ", ".join(map(str, sorted(named)))
            member = "" if name == content.names[0] else f"its member {name} "
            reason = f"{member}is named for {dates}, but its rows are of {inside}; rename it or download it again"
            raise BadDataError(content.names[0], reason)
