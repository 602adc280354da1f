"""The csv file of trading phases: the columns ``start`` and ``end``, ISO dates, one phase a row."""

from __future__ import annotations

import csv
from pathlib import Path

from backtest_pipelines.errors import BadRequestError

COLUMNS = ["start", "end"]


def read_phases(path: Path) -> tuple[tuple[str, str], ...]:
    """Return the (start, end) texts of a file of phases; the dates are checked where the question is.

    Raises
    ------
    BadRequestError
        If the file cannot be read, has other columns, a row of another length, or no row.
    """
    field = f"--phases {path}"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    except OSError as error:
        raise BadRequestError(field, error.strerror, "allowed: a file that can be read") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadRequestError(field, str(error), "allowed: a csv file in UTF-8") from None
    header = rows[0] if rows else []
    if header != COLUMNS:
        raise BadRequestError(field, ",".join(header), "allowed: a first line start,end")
    if len(rows) == 1:
        raise BadRequestError(field, "no phase", "allowed: at least one row; leave --phases out to trade always")
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(COLUMNS):
            raise BadRequestError(f"{field}, row {number}", ",".join(row), "allowed: two fields, start,end")
    return tuple((start, end) for start, end in rows[1:])
