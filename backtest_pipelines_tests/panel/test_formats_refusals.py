"""The readers of the exchange's files: every bad file is refused in words, with its line."""

from __future__ import annotations

import zipfile
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.panel.formats import peek_session
from backtest_pipelines_tests.panel.format_samples import (
    CLEANED,
    CLOSES,
    LEGACY,
    LEGACY_HEADER,
    SESSION,
    UDIFF,
    UDIFF_HEADER,
    UDIFF_SESSION,
    changed,
    quoted,
    refusal,
    udiff_row,
    write,
    zipped,
)

# What cannot be opened


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.csv") == "absent.csv: cannot be read: No such file or directory"


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.touch()
    assert refusal(path) == "empty.csv: is empty"
    assert refusal(zipped(tmp_path, "hollow.zip", {"a.csv": b""})) == "hollow.zip: is empty"


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf", b"\n\n", f"{LEGACY_HEADER}\n".encode(), LEGACY_HEADER.encode()])
def test_a_file_without_rows_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "short.csv"
    path.write_bytes(data)
    assert refusal(path) == "short.csv: holds no row after the header"


def test_a_page_saved_as_zip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "fo18MAR2021bhav.csv.zip"
    path.write_bytes(b"<html>Access denied</html>")
    assert "is not a zip archive, whatever its name says" in refusal(path)


def test_a_truncated_zip_is_refused_with_its_name(tmp_path: Path) -> None:
    path = zipped(tmp_path, "cut.zip", {"a.csv": "\n".join(LEGACY).encode()})
    whole = path.read_bytes()
    for size in (10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert refusal(path).startswith("cut.zip: is a truncated or damaged zip archive (")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_with_any_damaged_byte_of_text_is_refused(tmp_path: Path, method: int) -> None:
    path = tmp_path / "flipped.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a.csv", "\n".join(LEGACY))
    whole = path.read_bytes()
    start = 30 + len("a.csv")
    for position in [0, *range(start, whole.index(b"PK\x01\x02"), 7)]:
        damaged = bytearray(whole)
        damaged[position] ^= 4
        path.write_bytes(damaged)
        message = refusal(path)
        assert position == 0 or message.startswith("flipped.zip: is a truncated or damaged zip archive (")


def test_a_zip_with_none_or_several_members_is_refused_naming_them(tmp_path: Path) -> None:
    several = zipped(tmp_path, "two.zip", {"a.csv": b"1", "b.csv": b"2"})
    assert refusal(several) == "two.zip: must hold exactly one file, holds 2: a.csv, b.csv"
    assert refusal(zipped(tmp_path, "none.zip", {})) == "none.zip: must hold exactly one file, holds 0: none"


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path, "secret.zip", {"a.csv": b"1"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "is a zip archive that cannot be unpacked: " in refusal(path)


def test_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, LEGACY)
    path.write_bytes(path.read_bytes().replace(b"ACC", b"A\xe9C"))
    assert refusal(path).startswith("some.csv, line 2: byte 0xe9 is not UTF-8")
    path.write_bytes("\n".join(LEGACY).encode("utf-16"))
    assert refusal(path).startswith("some.csv, line 1: byte 0xff is not UTF-8")


# What is not the exchange's


def test_a_wrong_header_is_refused_with_what_is_read(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, ["date,close", "2021-03-18,1"]))
    kinds = "a legacy bhavcopy, a UDiFF bhavcopy, a cleaned bhavcopy, a file of index closes"
    assert message == f"some.csv, line 1: the header is not that of {kinds}"


@pytest.mark.parametrize(
    ("lines", "kind", "old", "missing"),
    [
        (LEGACY, "a legacy bhavcopy", ("VAL_INLAKH", "OPEN_INT"), "OPEN_INT, VAL_INLAKH"),
        (UDIFF, "a UDiFF bhavcopy", ("UndrlygPric", "NewBrdLotQty"), "UndrlygPric, NewBrdLotQty"),
        (CLEANED, "a cleaned bhavcopy", ("ExpiryDate",), "ExpiryDate"),
        (CLOSES, "a file of index closes", ("Index Date",), "Index Date"),
    ],
)
def test_missing_columns_are_named(
    tmp_path: Path, lines: tuple[str, ...], kind: str, old: tuple[str, ...], missing: str
) -> None:
    header = lines[0]
    for name in old:
        header = header.replace(name, "Other" + name[0])
    message = refusal(write(tmp_path, [header, *lines[1:]]))
    assert message == f"some.csv, line 1: the header is that of {kind}, without {missing}"


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    lines = changed(LEGACY, 1, "SETTLE_PR", "CLOSE")
    assert refusal(write(tmp_path, lines)) == "some.csv, line 1: the header has CLOSE more than once"


def test_another_exchanges_file_is_refused_naming_it(tmp_path: Path) -> None:
    only = "only files of NSE's derivatives segment (Src=NSE, Sgmt=FO) are read"
    bse = [UDIFF_HEADER, udiff_row("SENSEX", source="BSE"), udiff_row("BANKEX", source="BSE")]
    assert refusal(write(tmp_path, bse)) == f"some.csv, line 2: published by BSE; {only}"
    assert refusal(write(tmp_path, [*UDIFF, udiff_row(source="BSE")])) == f"some.csv, line 7: published by BSE; {only}"
    shares = [UDIFF_HEADER, udiff_row("TCS", "STK", segment="CM")]
    assert refusal(write(tmp_path, shares)) == f"some.csv, line 2: of segment CM; {only}"


def test_a_file_without_the_symbols_is_refused(tmp_path: Path) -> None:
    for lines in ([*LEGACY[:2], LEGACY[-1]], [UDIFF[0], UDIFF[1], UDIFF[4]]):
        assert refusal(write(tmp_path, lines)) == "some.csv: holds no row of NIFTY, BANKNIFTY, FINNIFTY"
    message = refusal(write(tmp_path, [CLOSES[0], CLOSES[2]]))
    assert message == "some.csv: holds no row of Nifty 50, Nifty Bank, Nifty Financial Services"


@pytest.mark.parametrize(
    ("lines", "name", "named", "inside"),
    [
        (LEGACY, "fo17MAR2021bhav.csv", "2021-03-17", SESSION),
        (LEGACY, "bhavcopy 2021-03-17.csv", "2021-03-17", SESSION),
        (UDIFF, "BhavCopy_NSE_FO_0_0_0_20250204_F_0000.csv", "2025-02-04", UDIFF_SESSION),
        (CLOSES, "ind_close_all_17032021.csv", "2021-03-17", SESSION),
    ],
)
def test_a_date_in_the_name_must_be_the_one_inside(
    tmp_path: Path, lines: tuple[str, ...], name: str, named: str, inside: date
) -> None:
    path = write(tmp_path, lines, name)
    expected = f"{name}: is named for {named}, but its rows are of {inside}; rename it or download it again"
    assert refusal(path) == expected
    with pytest.raises(BadDataError) as caught:
        peek_session(path)
    assert str(caught.value) == expected


def test_a_date_in_the_name_of_the_member_must_be_the_one_inside(tmp_path: Path) -> None:
    path = zipped(tmp_path, "fo18MAR2021bhav.csv.zip", {"fo17MAR2021bhav.csv": "\n".join(LEGACY).encode()})
    assert "its member fo17MAR2021bhav.csv is named for 2021-03-17, but its rows are of 2021-03-18" in refusal(path)


@pytest.mark.parametrize("line", [2, 5, 8])
def test_several_sessions_in_a_file_are_refused(tmp_path: Path, line: int) -> None:
    message = refusal(write(tmp_path, changed(LEGACY, line, "18-MAR-2021", "17-MAR-2021")))
    bad = 3 if line == 2 else line
    assert message.startswith(f"some.csv, line {bad}: TIMESTAMP '1")
    assert message.endswith("in line 2; a file holds one session")


# Rows that are not what they should be


@pytest.mark.parametrize("line", [2, 4, 8])
@pytest.mark.parametrize("change", ["cut", "long", "quoted"])
def test_a_row_with_the_wrong_number_of_fields_is_refused(tmp_path: Path, line: int, change: str) -> None:
    lines = list(LEGACY)
    if change == "cut":
        lines[line - 1] = lines[line - 1][:50]
        found = len(lines[line - 1].split(","))
    else:
        lines[line - 1] += ","
        found = 17
    if change == "quoted":
        lines = quoted(tuple(lines))
    expected = f"some.csv, line {line}: has {found} fields where the header has 16; is the file cut off?"
    assert refusal(write(tmp_path, lines)) == expected


def test_a_last_line_that_is_cut_off_is_refused_wherever_it_is_cut(tmp_path: Path) -> None:
    path = write(tmp_path, UDIFF)
    whole = path.read_bytes()
    last_line = whole.rindex(b"\n", 0, -1) + 1
    for size in range(last_line + 1, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert refusal(path).startswith("some.csv, line 6: has ")


def test_two_rows_whose_fields_add_up_are_still_refused(tmp_path: Path) -> None:
    lines = list(LEGACY)
    lines[3] += ","
    lines[4] = lines[4].removesuffix(",")
    assert refusal(write(tmp_path, lines)).startswith("some.csv, line 4: has 17 fields")


def test_a_blank_line_between_rows_is_refused(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, [*LEGACY[:4], "", *LEGACY[4:]])).startswith("some.csv, line 5: has 0 fields")


def test_a_quote_that_is_not_closed_is_refused(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, changed(LEGACY, 4, "NIFTY", '"NIFTY')))
    assert message.startswith("some.csv, line 4: ")


def test_a_quoted_field_over_two_lines_is_refused(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, changed(LEGACY, 4, "NIFTY", '"NIF\nTY"')))
    assert message == "some.csv, line 4: a quoted field runs over the end of the line"


@pytest.mark.parametrize(
    ("line", "old", "new", "expected"),
    [
        (4, ",150.25,150.25", ",150.251,150.25", "CLOSE '150.251' is finer than a paise (0.01 INR)"),
        (4, ",150.25,150.25", ",150.2500001,150.25", "CLOSE '150.2500001' is finer than a paise (0.01 INR)"),
        (4, ",14500,", ",14500.005,", "STRIKE_PR '14500.005' is finer than a paise (0.01 INR)"),
        (4, ",150.25,150.25", ",-150.25,150.25", "CLOSE '-150.25' is below 0"),
        (4, ",150.25,150.25", ",,150.25", "CLOSE '' is empty where a number is needed"),
        (4, ",150.25,150.25", ",nan,150.25", "CLOSE 'nan' is not a number"),
        (4, ",150.25,150.25", ",inf,150.25", "CLOSE 'inf' is not a number"),
        (4, ",150.25,150.25", ",1_50,150.25", "CLOSE '1_50' is not a number"),
        (4, ",150.25,150.25", ",1e12,150.25", "CLOSE '1e12' is above the largest price, 2684354 INR"),
        (4, ",150.25,150.25", ",0,150.25", "CLOSE '0' of a traded contract; a price above 0 is needed"),
        (4, ",20,218.5,", ",-20,218.5,", "CONTRACTS '-20' is below 0"),
        (4, ",20,218.5,", ",20.5,218.5,", "CONTRACTS '20.5' is not a whole number"),
        (4, ",20,218.5,", ",many,218.5,", "CONTRACTS 'many' is not a number"),
        (4, ",20,218.5,", ",20,-218.5,", "VAL_INLAKH '-218.5' is below 0"),
        (
            4,
            ",20,218.5,",
            ",20,1e30,",
            "VAL_INLAKH '1e30' is above the largest turnover, 10000000000000000 INR",
        ),
        (4, ",1500,75,", ",3e9,75,", "OPEN_INT '3e9' is above the largest count, 2147483647"),
        (4, ",1500,75,", ",,75,", "OPEN_INT '' is empty where a number is needed"),
        (4, ",PE,", ",PA,", "OPTION_TYP 'PA' is unknown; allowed: CE, PE, XX, empty"),
        (4, ",PE,", ",XX,", "OPTION_TYP 'XX' of an option; allowed: CE, PE"),
        (3, ",XX,", ",CE,", "OPTION_TYP 'CE' of a future; allowed: XX, empty"),
        (4, ",14500,", ",,", "STRIKE_PR '' of an option; a strike above 0 is needed"),
        (4, ",14500,", ",0,", "STRIKE_PR '0' of an option; a strike above 0 is needed"),
        (3, ",0,XX", ",14500,XX", "STRIKE_PR '14500' of a future; allowed: 0, empty"),
        (4, "25-Mar-2021", "17-Mar-2021", "EXPIRY_DT '17-Mar-2021' is before the session, 18-MAR-2021"),
        (
            4,
            "25-Mar-2021",
            "31-Feb-2021",
            "EXPIRY_DT '31-Feb-2021' is no date; write 2021-03-18 or 18-Mar-2021",
        ),
        (4, "18-MAR-2021", "", "TIMESTAMP '' is no date; write 2021-03-18 or 18-Mar-2021"),
        (4, "OPTIDX", "OPT", "INSTRUMENT 'OPT' is unknown; allowed: FUTIDX, OPTIDX, FUTSTK, OPTSTK, FUTIVX"),
    ],
)
@pytest.mark.parametrize("change", [list, quoted])
def test_a_bad_cell_is_refused_with_value_and_line(
    tmp_path: Path, change: Any, line: int, old: str, new: str, expected: str
) -> None:
    lines = change(tuple(changed(LEGACY, line, old, new)))
    assert refusal(write(tmp_path, lines)) == f"some.csv, line {line}: {expected}"


@pytest.mark.parametrize("year", ["1969", "2150"])
def test_dates_that_the_panel_cannot_hold_are_refused(tmp_path: Path, year: str) -> None:
    lines = [line.replace("18-MAR-2021", f"18-MAR-{year}") for line in LEGACY]
    assert f"TIMESTAMP '18-MAR-{year}' is outside 1970-01-01 to 2149-06-06" in refusal(write(tmp_path, lines))


def test_a_contract_listed_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    again = LEGACY[3].replace("150.25", "151").replace("14500", "14500.00")
    message = refusal(write(tmp_path, [*LEGACY, again, again]))
    assert message == ("some.csv, line 9: the same symbol, instrument, expiry, strike and option type as in line 4")


def test_an_underlying_that_differs_within_a_symbol_is_refused(tmp_path: Path) -> None:
    for other in ("23361.10", ""):
        lines = [*UDIFF, udiff_row(strike="23550.00", underlying=other)]
        assert refusal(write(tmp_path, lines)) == (
            f"some.csv, line 7: UndrlygPric {other!r} differs from '23361.05' of the same symbol in line 3"
        )
    lines = [UDIFF_HEADER, udiff_row(underlying="0.00")]
    assert refusal(write(tmp_path, lines)).startswith(
        "some.csv, line 2: UndrlygPric '0.00' of an index; a price above 0"
    )


@pytest.mark.parametrize(
    ("line", "old", "new", "expected"),
    [
        (2, "14557.85", "-", "line 2: Closing Index Value '-' is not a number"),
        (
            2,
            "14557.85",
            "14557.855",
            "line 2: Closing Index Value '14557.855' is finer than a paise (0.01 INR)",
        ),
        (2, "14557.85", "0", "line 2: Closing Index Value '0' of an index; a price above 0 is needed"),
        (4, "Nifty Bank", "Nifty 50", "line 4: Index Name 'Nifty 50' is there a second time"),
        (
            4,
            "18-03-2021",
            "19-03-2021",
            "line 4: Index Date '19-03-2021' differs from 2021-03-18 in line 2; a file",
        ),
        (
            2,
            "18-03-2021",
            "03-18-2021",
            "line 2: Index Date '03-18-2021' is no date; write 18-03-2021, 2021-03-18 or",
        ),
    ],
)
def test_bad_index_closes_are_refused(tmp_path: Path, line: int, old: str, new: str, expected: str) -> None:
    assert refusal(write(tmp_path, changed(CLOSES, line, old, new))).startswith(f"some.csv, {expected}")
