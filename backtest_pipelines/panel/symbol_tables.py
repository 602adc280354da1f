"""The tables that hold one symbol, quotes, futures, option chains and sessions, and their Arrow files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from backtest_pipelines.arrow import arrow_array, numpy_array
from backtest_pipelines.atomic import write_atomic
from backtest_pipelines.panel.chains import NO_ROW, ChainTable
from backtest_pipelines.panel.keys import BoolArray, Int32Array, Int64Array

LAYOUT = 1
"""Version of the tables' layout; part of every file name."""

MISSING_PAISE = -1

TABLE_NAMES = ("quotes", "futures", "chains", "ladders", "sessions")
CHAIN_COLUMNS = ("key", "lowest", "first_step", "last_step")
LADDER_COLUMNS = ("row", "traded_above", "traded_below")

QUOTE_COLUMNS: dict[str, type[np.generic]] = {
    "key": np.int64,
    "close_paise": np.int32,
    "contracts": np.int32,
    "open_interest": np.int32,
    "turnover_paise": np.int64,
    "lot_size": np.int32,
}


@dataclass(frozen=True, slots=True, eq=False)
class QuoteTable:
    """Every row of a symbol, sorted by key; n rows.

    Attributes
    ----------
    key : int64[n]
        See `backtest_pipelines.panel.keys`; the expiry is the one listed that day.
    close_paise, contracts, open_interest : int32[n]
    turnover_paise : int64[n]
        Notional for options; -1 where the file has none.
    lot_size : int32[n]
        0 where the file has none.
    """

    key: Int64Array
    close_paise: Int32Array
    contracts: Int32Array
    open_interest: Int32Array
    turnover_paise: Int64Array
    lot_size: Int32Array

    def columns(self) -> Iterator[npt.NDArray[np.generic]]:
        """Yield the columns in the order of the file."""
        for name in QUOTE_COLUMNS:
            yield getattr(self, name)

    def cut(self, start: int, end: int) -> QuoteTable:
        """Return the rows start to end (excluded), without a copy."""
        return QuoteTable(*(column[start:end] for column in self.columns()))  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, eq=False)
class FutureTable:
    """The futures among the rows of the quote table, so that a look-up touches little memory; k rows, sorted.

    Attributes
    ----------
    key : int64[k]
    row : int32[k]
        Row of the quote table.
    """

    key: Int64Array
    row: Int32Array

    def rows(self, key: Int64Array) -> Int64Array:
        """Return the quote rows of contracts, -1 where one has none."""
        if self.key.size == 0:
            return np.full(key.shape, NO_ROW, np.int64)
        position = self.key.searchsorted(key)
        np.minimum(position, self.key.size - 1, out=position)
        found = self.row[position].astype(np.int64)
        found[self.key[position] != key] = NO_ROW
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Ragged:
    """A list of int32 for each session: values[offset[i]:offset[i + 1]]."""

    offset: Int32Array
    values: Int32Array

    @staticmethod
    def of(lists: Sequence[Sequence[int] | Int32Array]) -> Ragged:
        """Build from one sequence a session."""
        offset = np.zeros(len(lists) + 1, np.int32)
        np.cumsum([len(entry) for entry in lists], out=offset[1:])
        flat = [np.asarray(entry, np.int32) for entry in lists]
        return Ragged(offset, np.concatenate(flat) if flat else np.zeros(0, np.int32))

    def at(self, position: int) -> Int32Array:
        """Return the list of one session."""
        return self.values[self.offset[position] : self.offset[position + 1]]

    def between(self, start: int, end: int) -> Int32Array:
        """Return the lists of the sessions start to end (excluded), one after the other."""
        return self.values[self.offset[start] : self.offset[end]]


@dataclass(frozen=True, slots=True, eq=False)
class SessionTable:
    """Every date with a bhavcopy or an index close; m rows, ascending.

    Attributes
    ----------
    session : int32[m]
        Days since 1970-01-01.
    has_bhavcopy : bool[m]
    row_start : int64[m + 1]
        Rows of the quote table: row_start[i] to row_start[i + 1].
    underlying_paise, index_close_paise : int64[m]
        Index close by the bhavcopy and by the index-close file; -1 where absent.
    digest : uint8[m, 32]
        SHA-256 of all that is stored of the session.
    option_expiries, future_expiries : Ragged
        Distinct listed expiries, ascending.
    redated_from, redated_to : Ragged
        Expiry dates changed with effect from the session.
    """

    session: Int32Array
    has_bhavcopy: BoolArray
    row_start: Int64Array
    underlying_paise: Int64Array
    index_close_paise: Int64Array
    digest: npt.NDArray[np.uint8]
    option_expiries: Ragged
    future_expiries: Ragged
    redated_from: Ragged
    redated_to: Ragged


@dataclass(frozen=True, slots=True, eq=False)
class SymbolTables:
    """All that is stored of one symbol.

    Attributes
    ----------
    quotes : QuoteTable
    futures : FutureTable
    chains : ChainTable
    sessions : SessionTable
    """

    quotes: QuoteTable
    futures: FutureTable
    chains: ChainTable
    sessions: SessionTable

    def digest(self) -> str:
        """Return one SHA-256 of all sessions, in hex."""
        return sha256(self.sessions.digest.tobytes()).hexdigest()


def session_digest(
    session: int, *, has_bhavcopy: bool, underlying_paise: int, index_close_paise: int, quotes: QuoteTable
) -> bytes:
    """Return the SHA-256 of all that is stored of a symbol on a session."""
    digest = sha256(np.array([session, has_bhavcopy, underlying_paise, index_close_paise], np.int64).tobytes())
    for column in quotes.columns():
        digest.update(np.ascontiguousarray(column).tobytes())
    return digest.digest()


def write_tables(folder: Path, symbol: str, tables: SymbolTables) -> dict[str, str]:
    """Write the files of a symbol, named by their content, and return their names by table."""
    stem = f"{symbol}-{LAYOUT}-{tables.digest()[:32]}"
    names = {kind: f"{stem}-{kind}.arrow" for kind in TABLE_NAMES}
    quotes, sessions = tables.quotes, tables.sessions
    _write(folder / names["quotes"], dict(zip(QUOTE_COLUMNS, map(arrow_array, quotes.columns()), strict=True)))
    futures, chains = tables.futures, tables.chains
    _write(folder / names["futures"], {name: arrow_array(getattr(futures, name)) for name in ("key", "row")})
    _write(folder / names["chains"], {name: arrow_array(getattr(chains, name)) for name in CHAIN_COLUMNS})
    _write(folder / names["ladders"], {name: arrow_array(getattr(chains, name)) for name in LADDER_COLUMNS})
    ragged = ("option_expiries", "future_expiries", "redated_from", "redated_to")
    _write(
        folder / names["sessions"],
        {
            "session": arrow_array(sessions.session),
            "has_bhavcopy": arrow_array(sessions.has_bhavcopy.astype(np.int8)),
            "row_end": arrow_array(sessions.row_start[1:]),
            "underlying_paise": arrow_array(sessions.underlying_paise),
            "index_close_paise": arrow_array(sessions.index_close_paise),
            "digest": pa.FixedSizeBinaryArray.from_buffers(
                pa.binary(32), len(sessions.session), [None, pa.py_buffer(sessions.digest.tobytes())]
            ),
            **{name: _list_array(getattr(sessions, name)) for name in ragged},
        },
    )
    return names


def read_tables(folder: Path, names: dict[str, str]) -> SymbolTables:
    """Map the files of a symbol into memory; nothing is copied but the small session columns.

    Raises
    ------
    FileNotFoundError
        If a file is gone (a newer manifest replaced it).
    """
    quotes = _read(folder / names["quotes"])
    futures = _read(folder / names["futures"])
    chains, ladders = _read(folder / names["chains"]), _read(folder / names["ladders"])
    sessions = _read(folder / names["sessions"])
    digest = np.frombuffer(sessions.column("digest").buffers()[1] or b"", np.uint8)
    row_end = _numpy(sessions, "row_end")
    return SymbolTables(
        QuoteTable(*(_numpy(quotes, name) for name in QUOTE_COLUMNS)),
        FutureTable(_numpy(futures, "key"), _numpy(futures, "row")),
        ChainTable(
            *(_numpy(chains, name) for name in CHAIN_COLUMNS), *(_numpy(ladders, name) for name in LADDER_COLUMNS)
        ),
        SessionTable(
            session=_numpy(sessions, "session"),
            has_bhavcopy=_numpy(sessions, "has_bhavcopy").astype(bool),
            row_start=np.concatenate([[0], row_end]),
            underlying_paise=_numpy(sessions, "underlying_paise"),
            index_close_paise=_numpy(sessions, "index_close_paise"),
            digest=digest[: 32 * len(row_end)].reshape(-1, 32),
            option_expiries=_ragged(sessions, "option_expiries"),
            future_expiries=_ragged(sessions, "future_expiries"),
            redated_from=_ragged(sessions, "redated_from"),
            redated_to=_ragged(sessions, "redated_to"),
        ),
    )


def _list_array(ragged: Ragged) -> pa.Array:
    return pa.ListArray.from_arrays(arrow_array(ragged.offset), arrow_array(ragged.values))


def _ragged(batch: pa.RecordBatch, name: str) -> Ragged:
    column = batch.column(name)
    return Ragged(numpy_array(column.offsets), numpy_array(column.values))


def _numpy(batch: pa.RecordBatch, name: str) -> npt.NDArray[Any]:
    return numpy_array(batch.column(name))


def _write(path: Path, columns: dict[str, pa.Array]) -> None:
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))

    def write(file: object) -> None:
        with pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)

    write_atomic(path, write)


def _read(path: Path) -> pa.RecordBatch:
    try:
        with pa.memory_map(str(path)) as source:
            return pa.ipc.open_file(source).get_batch(0)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path.name}: {error}") from error
