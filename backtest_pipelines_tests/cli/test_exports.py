from __future__ import annotations

import csv
import json
import os
import stat
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.exports import check_export_path, export

TRADES = pa.table(
    {
        "entry_date": pa.array([date(2021, 3, 18), date(2021, 3, 25)], pa.date32()),
        "exit_date": pa.array([date(2021, 3, 25), date(2021, 4, 1)], pa.date32()),
        "call_strike": pa.array([14600.0, 14400.0]),
        "call_entry_price": pa.array([110.05, 0.1]),
        "net_pnl": pa.array([-0.0, -1234567.9]),
        "call_exit_turnover_inr": pa.array([None, 12345678901.25]),
        "lot_size": pa.array([75, None], pa.int32()),
    }
)
NOTICES = pa.table(
    {
        "kind": ["no_weekly_expiry"],
        "entry_date": pa.array([date(2021, 3, 18)], pa.date32()),
        "strike": pa.array([None], pa.float64()),
        "detail": ['commas, "quotes"'],
    }
)


def answer(trades: pa.Table = TRADES, notices: pa.Table = NOTICES) -> Answer:
    return Answer(trades=trades, notices=notices, equity=pa.table({}), statistics={}, pivot={}, provenance={})


def test_a_csv_has_two_decimals_iso_dates_and_empty_fields_for_unknown_values(tmp_path: Path) -> None:
    export(answer(), tmp_path / "trades.csv")
    assert (tmp_path / "trades.csv").read_text() == (
        "entry_date,exit_date,call_strike,call_entry_price,net_pnl,call_exit_turnover_inr,lot_size\n"
        "2021-03-18,2021-03-25,14600.00,110.05,0.00,,75\n"
        "2021-03-25,2021-04-01,14400.00,0.10,-1234567.90,12345678901.25,\n"
    )


def test_a_json_file_is_a_list_of_records_with_iso_dates_and_nulls(tmp_path: Path) -> None:
    export(answer(), tmp_path / "trades.json")
    rows = json.loads((tmp_path / "trades.json").read_text())
    assert [row["entry_date"] for row in rows] == ["2021-03-18", "2021-03-25"]
    assert rows[0]["call_exit_turnover_inr"] is None
    assert rows[1]["call_entry_price"] == 0.1
    assert list(rows[0]) == TRADES.column_names


def test_a_parquet_file_holds_the_same_table(tmp_path: Path) -> None:
    export(answer(), tmp_path / "trades.parquet")
    assert parquet.read_table(tmp_path / "trades.parquet").equals(TRADES)


@pytest.mark.parametrize("name", ["trades.csv", "trades.json", "trades.parquet", "trades.CSV"])
def test_notices_are_written_beside_every_format(tmp_path: Path, name: str) -> None:
    exported = export(answer(), tmp_path / name)
    assert exported.trades == tmp_path / name
    assert exported.notices == tmp_path / "trades.notices.csv"
    with exported.notices.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {"kind": "no_weekly_expiry", "entry_date": "2021-03-18", "strike": "", "detail": 'commas, "quotes"'}
    ]


def test_without_notices_the_file_has_its_header(tmp_path: Path) -> None:
    export(answer(notices=NOTICES.slice(0, 0)), tmp_path / "trades.csv")
    assert (tmp_path / "trades.notices.csv").read_text() == "kind,entry_date,strike,detail\n"


def test_without_trades_every_format_is_still_a_file(tmp_path: Path) -> None:
    for ending in ("csv", "json", "parquet"):
        export(answer(trades=TRADES.slice(0, 0)), tmp_path / f"trades.{ending}")
    assert (tmp_path / "trades.csv").read_text().count("\n") == 1
    assert json.loads((tmp_path / "trades.json").read_text()) == []
    assert parquet.read_table(tmp_path / "trades.parquet").schema.equals(TRADES.schema)


def test_an_old_export_is_replaced_and_no_temporary_file_is_left(tmp_path: Path) -> None:
    (tmp_path / "trades.csv").write_text("old")
    export(answer(), tmp_path / "trades.csv")
    assert (tmp_path / "trades.csv").read_text().startswith("entry_date,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["trades.csv", "trades.notices.csv"]


def test_an_unknown_ending_is_refused_naming_the_allowed_ones(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=r"output: got '.*trades\.xlsx'; allowed: .*\.csv, \.json, \.parquet"):
        check_export_path(tmp_path / "trades.xlsx")


def test_a_missing_folder_is_refused_with_what_to_create(tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match=f"create {tmp_path / 'absent'}"):
        check_export_path(tmp_path / "absent" / "trades.csv")


def test_a_folder_is_refused_as_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadRequestError, match="this is a folder"):
        check_export_path(tmp_path / "folder.csv")


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        folder = Path("/proc")  # permissions do not hold root back; this file system does
    else:
        folder = tmp_path / "locked"
        folder.mkdir()
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(BadRequestError, match="a folder that can be written to"):
        check_export_path(folder / "trades.csv")


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    check_export_path(tmp_path / "trades.csv")
    assert list(tmp_path.iterdir()) == []
