"""What a file of the exchange says, as arrays: the quotes of one symbol and session, and the index closes.

Here belong the plain types that the file readers hand to the ingest; reading and storing them does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Quotes:
    """All contracts of one symbol on one session.

    Rows are sorted by (instrument, expiry, strike) and unique in these three. Each field is an array of shape
    ``(contracts listed,)``.

    Attributes
    ----------
    instrument : NDArray[np.int8]
        0 future, 1 call, 2 put.
    expiry : NDArray[np.int32]
        Days since 1970-01-01, as listed in the file; never before the session.
    strike_paise : NDArray[np.int64]
        Above 0 for options, 0 for futures.
    close_paise : NDArray[np.int64]
        0 or more; of an untraded contract it is stale or 0.
    contracts : NDArray[np.int64]
        Lots traded, 0 or more.
    open_interest : NDArray[np.int64]
        Units of the underlying, 0 or more.
    turnover_paise : NDArray[np.int64]
        Notional turnover, 0 or more; -1 where the file has none.
    lot_size : NDArray[np.int32]
        Units of the underlying in a lot; 0 where the file has none.
    """

    instrument: NDArray[np.int8]
    expiry: NDArray[np.int32]
    strike_paise: NDArray[np.int64]
    close_paise: NDArray[np.int64]
    contracts: NDArray[np.int64]
    open_interest: NDArray[np.int64]
    turnover_paise: NDArray[np.int64]
    lot_size: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.instrument)


@dataclass(frozen=True, slots=True, eq=False)
class Bhavcopy:
    """The index futures and options of one session's derivatives file.

    Attributes
    ----------
    session : int
        Days since 1970-01-01.
    format : str
        "legacy", "udiff" or "cleaned".
    quotes : dict[str, Quotes]
        By symbol; only the symbols that the file has, at least one.
    underlying_paise : dict[str, int]
        Index close by symbol, above 0; only where the file carries one.
    row_count : int
        Rows kept, of all symbols.
    """

    session: int
    format: str
    quotes: dict[str, Quotes]
    underlying_paise: dict[str, int]
    row_count: int


@dataclass(frozen=True, slots=True)
class IndexCloses:
    """The closes of the indices on one session.

    Attributes
    ----------
    session : int
        Days since 1970-01-01.
    close_paise : dict[str, int]
        By symbol, above 0; only the symbols that the file has, at least one.
    row_count : int
        Rows kept.
    """

    session: int
    close_paise: dict[str, int]
    row_count: int
