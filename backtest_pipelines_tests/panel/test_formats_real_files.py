"""The exchange's real files, read row by row against a plain reading."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from backtest_pipelines.panel.formats import peek_session
from backtest_pipelines_tests.panel.format_samples import (
    SESSION,
    SYMBOLS,
    bhavcopy,
    contracts,
    day,
)


def plain_rows(path: Path) -> Iterator[dict[str, str]]:
    data = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            data = archive.read(archive.namelist()[0])
    return csv.DictReader(io.StringIO(data.decode()))


def paise(text: str, inr: int = 1) -> int:
    value = Decimal(text) * inr * 100
    assert value == int(value)
    return int(value)


ORDER = {"FUT": 0, "CE": 1, "PE": 2}


def in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=lambda row: (SYMBOLS.index(row[0]), ORDER[row[1]], row[2], row[3]))


def test_real_udiff_files_equal_a_plain_reading_row_by_row(real_data: Path) -> None:
    files = sorted((real_data / "bhavcopy" / "udiff").glob("*.zip"))
    assert len(files) == 19
    for path in files[::6]:
        expected, underlying = [], {}
        for row in plain_rows(path):
            if row["TckrSymb"] in SYMBOLS and row["FinInstrmTp"] in {"IDF", "IDO"}:
                underlying[row["TckrSymb"]] = paise(row["UndrlygPric"])
                expected.append(
                    (
                        row["TckrSymb"],
                        row["OptnTp"] or "FUT",
                        date.fromisoformat(row["XpryDt"]),
                        paise(row["StrkPric"] or "0"),
                        paise(row["ClsPric"]),
                        int(row["TtlTradgVol"]),
                        int(row["OpnIntrst"]),
                        paise(row["TtlTrfVal"]),
                        int(row["NewBrdLotQty"]),
                    )
                )
        found = bhavcopy(path)
        assert contracts(found) == in_order(expected)
        assert found.row_count == len(expected) > 2500
        assert found.underlying_paise == underlying
        assert peek_session(path) == ("bhavcopy", day(found.session))


def test_the_real_legacy_file_equals_a_plain_reading_row_by_row(real_data: Path) -> None:
    path = real_data / "bhavcopy" / "legacy" / "fo18MAR2021bhav.csv"
    expected = [
        (
            row["SYMBOL"],
            {"XX": "FUT"}.get(row["OPTION_TYP"], row["OPTION_TYP"]),
            datetime.strptime(row["EXPIRY_DT"], "%d-%b-%Y").date(),  # noqa: DTZ007
            paise(row["STRIKE_PR"]),
            paise(row["CLOSE"]),
            int(row["CONTRACTS"]),
            int(row["OPEN_INT"]),
            paise(row["VAL_INLAKH"], 100_000),
            0,
        )
        for row in plain_rows(path)
        if row["SYMBOL"] in SYMBOLS and row["INSTRUMENT"] in {"FUTIDX", "OPTIDX"}
    ]
    found = bhavcopy(path)
    assert contracts(found) == in_order(expected)
    assert day(found.session) == SESSION
    assert found.row_count == len(expected) == 5970
