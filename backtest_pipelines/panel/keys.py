"""One int64 for a contract on a session, ordered by session, instrument, expiry, strike.

Layout, from the high bits: session 16 (days since 1970-01-01, to the year 2149), instrument 2, expiry 16, strike 28
(paise, to 2,684,354 INR).
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Int64Array: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
Int32Array: TypeAlias = npt.NDArray[np.int32]

FUTURE, CALL, PUT = 0, 1, 2

STRIKE_BITS = 28
EXPIRY_BITS = 16
INSTRUMENT_SHIFT = STRIKE_BITS + EXPIRY_BITS
SESSION_SHIFT = INSTRUMENT_SHIFT + 2
STRIKE_MASK = (1 << STRIKE_BITS) - 1
EXPIRY_MASK = (1 << EXPIRY_BITS) - 1
INSTRUMENT_MASK = 3
MAX_STRIKE_PAISE = STRIKE_MASK


def contract_keys(
    session: npt.ArrayLike,
    instrument: npt.ArrayLike,
    expiry: npt.ArrayLike,
    strike_paise: npt.ArrayLike,
) -> Int64Array:
    """Pack session and expiry (days), instrument (0 future, 1 call, 2 put) and strike (paise) into int64 keys."""
    packed = (
        (np.asarray(session, np.int64) << SESSION_SHIFT)
        | (np.asarray(instrument, np.int64) << INSTRUMENT_SHIFT)
        | (np.asarray(expiry, np.int64) << STRIKE_BITS)
        | np.asarray(strike_paise, np.int64)
    )
    return np.asarray(packed, np.int64)


def strikes_of(keys: Int64Array) -> Int64Array:
    """Return the strikes, in paise."""
    return keys & STRIKE_MASK


def expiries_of(keys: Int64Array) -> Int64Array:
    """Return the listed expiries, in days since 1970-01-01."""
    return (keys >> STRIKE_BITS) & EXPIRY_MASK


def instruments_of(keys: Int64Array) -> Int64Array:
    """Return the instruments: 0 future, 1 call, 2 put."""
    return (keys >> INSTRUMENT_SHIFT) & INSTRUMENT_MASK
