"""The readers of the exchange's files: every good file is read exactly, however it was written."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.panel.formats import peek_session, read_exchange_file
from backtest_pipelines.panel.quotes import IndexCloses
from backtest_pipelines_tests.panel.format_samples import (
    CLEANED,
    CLOSES,
    EPOCH,
    LEGACY,
    LEGACY_CONTRACTS,
    SESSION,
    UDIFF,
    UDIFF_HEADER,
    UDIFF_SESSION,
    bhavcopy,
    changed,
    contracts,
    day,
    quoted,
    udiff_row,
    write,
    zipped,
)


def test_a_legacy_file_is_read_sorted_and_in_paise(tmp_path: Path) -> None:
    found = bhavcopy(write(tmp_path, LEGACY))
    assert (day(found.session), found.format, found.row_count) == (SESSION, "legacy", 5)
    assert found.underlying_paise == {}
    assert contracts(found) == LEGACY_CONTRACTS


def test_the_arrays_have_their_types(tmp_path: Path) -> None:
    quotes = bhavcopy(write(tmp_path, UDIFF)).quotes["NIFTY"]
    types = {name: getattr(quotes, name).dtype for name in quotes.__slots__}
    assert types == {
        "instrument": np.int8,
        "expiry": np.int32,
        "strike_paise": np.int64,
        "close_paise": np.int64,
        "contracts": np.int64,
        "open_interest": np.int64,
        "turnover_paise": np.int64,
        "lot_size": np.int32,
    }


def test_a_udiff_file_is_read_with_underlying_and_lot(tmp_path: Path) -> None:
    found = bhavcopy(write(tmp_path, UDIFF))
    assert (day(found.session), found.format, found.row_count) == (UDIFF_SESSION, "udiff", 3)
    assert found.underlying_paise == {"NIFTY": 2336105, "FINNIFTY": 2308960}
    assert contracts(found) == [
        ("NIFTY", "FUT", date(2025, 2, 27), 0, 1165, 3, 150, 528750075, 75),
        ("NIFTY", "CE", date(2025, 2, 6), 2350000, 1165, 3, 150, 528750075, 75),
        ("FINNIFTY", "CE", date(2025, 2, 6), 2350000, 1165, 3, 150, 528750075, 75),
    ]


def test_an_underlying_that_the_file_leaves_empty_is_absent(tmp_path: Path) -> None:
    lines = [UDIFF_HEADER, udiff_row(underlying=""), udiff_row("FINNIFTY", underlying="23089.60")]
    assert bhavcopy(write(tmp_path, lines)).underlying_paise == {"FINNIFTY": 2308960}


def test_a_cleaned_file_is_read_with_turnover_in_lakh(tmp_path: Path) -> None:
    found = bhavcopy(write(tmp_path, CLEANED))
    assert (day(found.session), found.format) == (SESSION, "cleaned")
    assert contracts(found) == [LEGACY_CONTRACTS[0], LEGACY_CONTRACTS[3]]


def test_a_cleaned_file_without_turnover_says_minus_one(tmp_path: Path) -> None:
    lines = [",".join(field for number, field in enumerate(line.split(",")) if number != 12) for line in CLEANED]
    assert [row[7] for row in contracts(bhavcopy(write(tmp_path, lines)))] == [-1, -1]


def test_index_closes_are_read_by_the_indices_names(tmp_path: Path) -> None:
    found = read_exchange_file(write(tmp_path, CLOSES))
    assert found == IndexCloses((SESSION - EPOCH).days, {"NIFTY": 1455785, "BANKNIFTY": 3385680}, 2)


def reexported(line: str, number: int) -> str:
    """Give a legacy line as a data frame writes it: index, float numbers, ISO dates beside the old ones."""
    cells = line.rstrip(",").split(",")
    if number == 0:
        return ",".join(["", *cells, "EXPIRY_ISO"])
    expiry = datetime.strptime(cells[2], "%d-%b-%Y").date()  # noqa: DTZ007
    for position in (3, 10, 12):
        cells[position] = str(float(cells[position]))
    cells[14] = str(SESSION)
    return ",".join([str(number - 1), *cells, str(expiry)])


def test_a_reexport_with_an_index_column_float_contracts_and_iso_dates_is_the_same(tmp_path: Path) -> None:
    lines = [reexported(line, number) for number, line in enumerate(LEGACY)]
    assert lines[2].startswith("1,FUTIDX,NIFTY,25-Mar-2021,0.0,XX,")
    assert contracts(bhavcopy(write(tmp_path, lines))) == LEGACY_CONTRACTS


def reordered(lines: tuple[str, ...]) -> list[str]:
    return [",".join(reversed(line.split(","))) for line in lines]


def comma_in_quotes(lines: tuple[str, ...]) -> list[str]:
    return [lines[0], lines[1].replace("ACC", '"A,C,C"'), *lines[2:]]


@pytest.mark.parametrize("change", [list, reordered, quoted, comma_in_quotes])
@pytest.mark.parametrize("start", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_order_quotes_mark_and_line_ends_do_not_matter(tmp_path: Path, change: Any, start: str, end: str) -> None:
    lines = change(LEGACY)
    lines[0] = start + lines[0]
    assert contracts(bhavcopy(write(tmp_path, lines, end=end))) == LEGACY_CONTRACTS


def test_blank_lines_at_the_end_and_a_missing_line_end_do_not_matter(tmp_path: Path) -> None:
    path = write(tmp_path, [*LEGACY, "", "  ", ""])
    assert contracts(bhavcopy(path)) == LEGACY_CONTRACTS
    path.write_bytes("\n".join(LEGACY[:7]).encode())
    assert contracts(bhavcopy(path)) == LEGACY_CONTRACTS


@pytest.mark.parametrize("spelling", ["18-Mar-2021", "18-MAR-2021", "18-mar-2021", "2021-03-18"])
def test_dates_are_read_in_every_spelling(tmp_path: Path, spelling: str) -> None:
    lines = [line.replace("18-MAR-2021", spelling).replace("18-Mar-2021", spelling) for line in LEGACY]
    assert contracts(bhavcopy(write(tmp_path, lines))) == LEGACY_CONTRACTS


def test_space_around_cells_does_not_hide_a_row(tmp_path: Path) -> None:
    lines = [LEGACY[0], *(line.replace(",", " , ") for line in LEGACY[1:])]
    assert contracts(bhavcopy(write(tmp_path, lines))) == LEGACY_CONTRACTS


def test_float_noise_in_a_price_is_accepted(tmp_path: Path) -> None:
    lines = changed(LEGACY, 3, "14475.1,14574.55", "14475.1,14574.549999999999")
    assert contracts(bhavcopy(write(tmp_path, lines))) == LEGACY_CONTRACTS


def test_a_turnover_beyond_double_precision_is_exact(tmp_path: Path) -> None:
    lines = changed(tuple(UDIFF), 3, "5287500.75", "90071992547409.93")
    assert contracts(bhavcopy(write(tmp_path, lines)))[1][7] == 9007199254740993


def test_a_zipped_file_is_recognised_by_its_bytes(tmp_path: Path) -> None:
    data = "\n".join(LEGACY).encode()
    for name in ("fo18MAR2021bhav.csv.zip", "unnamed"):
        path = zipped(tmp_path, name, {"fo18MAR2021bhav.csv": data})
        assert contracts(bhavcopy(path)) == LEGACY_CONTRACTS


@pytest.mark.parametrize(
    ("lines", "name", "kind", "session"),
    [
        (LEGACY, "fo18MAR2021bhav.csv", "bhavcopy", SESSION),
        (UDIFF, "BhavCopy_NSE_FO_0_0_0_20250203_F_0000.csv", "bhavcopy", UDIFF_SESSION),
        (CLEANED, "2021-03-18.csv", "bhavcopy", SESSION),
        (CLOSES, "ind_close_all_18032021.csv", "index_closes", SESSION),
    ],
)
def test_a_peek_tells_kind_and_session(
    tmp_path: Path, lines: tuple[str, ...], name: str, kind: str, session: date
) -> None:
    assert peek_session(write(tmp_path, lines, name)) == (kind, session)
    long = "\n".join([*lines, *[lines[-1]] * 2000])
    assert len(long) > 100_000
    assert peek_session(zipped(tmp_path, name + ".zip", {name: long.encode()})) == (kind, session)


def test_reading_a_file_does_not_import_pandas(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from backtest_pipelines.panel.formats import read_exchange_file; "
        "read_exchange_file(Path(sys.argv[1])); sys.exit('pandas' in sys.modules)"
    )
    path = write(tmp_path, UDIFF)
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60).returncode == 0


def test_a_peek_refuses_what_is_no_file_of_the_exchange(tmp_path: Path) -> None:
    for path in (
        write(tmp_path, ["a,b", "1,2"]),
        write(tmp_path, [UDIFF_HEADER, udiff_row(source="BSE")], "bse.csv"),
        tmp_path / "absent",
    ):
        with pytest.raises(BadDataError, match=path.name):
            peek_session(path)
