"""Answers as files for people and their tools: csv, json, parquet and arrow, with the notices beside them."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from backtest_pipelines.atomic import write_atomic
from backtest_pipelines.errors import BadRequestError

if TYPE_CHECKING:
    import pyarrow as pa

    from backtest_pipelines.results.answer import Answer


@dataclass(frozen=True, slots=True)
class Exported:
    """The two files of an export."""

    trades: Path
    notices: Path


def notices_path(path: Path) -> Path:
    """Return where the notices are written: ``trades.notices.csv`` beside ``trades.csv``."""
    return path.with_name(f"{path.stem}.notices.csv")


def check_export_path(path: Path, field: str = "output") -> None:
    """Refuse a path that `export` could not write to, before any work is done.

    Parameters
    ----------
    path : Path
    field : str
        How the user calls it, for the message.

    Raises
    ------
    BadRequestError
        The ending is not one of ``WRITERS``, the path is a folder, or its folder is missing or cannot be
        written to.
    """
    if path.suffix.lower() not in WRITERS:
        raise BadRequestError(field, str(path), f"allowed: a file name that ends in {', '.join(WRITERS)}")
    if path.is_dir():
        raise BadRequestError(field, str(path), "allowed: a file; this is a folder")
    if not path.parent.is_dir():
        raise BadRequestError(field, str(path), f"allowed: a file in a folder that exists; create {path.parent}")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        limit = f"allowed: a file in a folder that can be written to: {error.strerror}"
        raise BadRequestError(field, str(path), limit) from None


def export(answer: Answer, path: Path) -> Exported:
    """Write an answer's trades, and its notices as csv beside them; existing files are replaced.

    Parameters
    ----------
    answer : Answer
    path : Path
        The ending chooses the format. csv: prices and amounts in INR with two decimals, ISO dates, an empty
        field where a value is not known. json: a list of records, ISO dates, null where not known. parquet:
        dates as date32, prices as float64. arrow: the same as a stream of Arrow's IPC.

    Raises
    ------
    BadRequestError
        As `check_export_path`.
    UnavailableError
        If the file system refuses.
    """
    check_export_path(path)
    exported = Exported(trades=path, notices=notices_path(path))
    write_atomic(exported.notices, lambda file: _write_csv(answer.notices, file))
    write_atomic(exported.trades, lambda file: WRITERS[path.suffix.lower()](answer.trades, file))
    return exported


def records(table: pa.Table) -> list[dict[str, object]]:
    """Return a table as what JSON can hold: one dict a row, dates as ISO text, None for null."""
    return [
        {name: value.isoformat() if isinstance(value, date) else value for name, value in row.items()}
        for row in table.to_pylist()
    ]


def _write_csv(table: pa.Table, file: IO[bytes]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.column_names)
    columns = [[_csv_field(value) for value in column.to_pylist()] for column in table.columns]
    writer.writerows(zip(*columns, strict=True))
    file.write(text.getvalue().encode())


def _csv_field(value: object) -> object:
    return f"{value + 0.0:.2f}" if isinstance(value, float) else value  # + 0.0: no "-0.00"


def _write_json(table: pa.Table, file: IO[bytes]) -> None:
    file.write(json.dumps(records(table), indent=1, allow_nan=False).encode())
    file.write(b"\n")


def _write_parquet(table: pa.Table, file: IO[bytes]) -> None:
    from pyarrow import parquet  # noqa: PLC0415 - only this format pays for its import

    parquet.write_table(table, file)


def _write_arrow(table: pa.Table, file: IO[bytes]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - only this format needs it by name

    with pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table)


WRITERS: Mapping[str, Callable[[Any, IO[bytes]], None]] = {
    ".csv": _write_csv,
    ".json": _write_json,
    ".parquet": _write_parquet,
    ".arrow": _write_arrow,
}
"""Ending of the file name -> writer of a table."""
