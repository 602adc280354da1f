"""What each command does when all is well, and what ingest says of bad files."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from importlib.metadata import version
from pathlib import Path

import pytest

from backtest_pipelines.cli import entry, sample
from backtest_pipelines.strategies import catalogue
from backtest_pipelines_tests.cli.conftest import DAYS, VARIANT, Command

TRADE_COLUMNS = [
    "entry_date", "exit_date", "entry_spot", "exit_spot", "call_expiry", "call_strike", "call_entry_price",
    "call_exit_price", "call_pnl", "future_expiry", "future_entry_price", "future_exit_price", "future_pnl",
    "net_pnl", "call_entry_turnover_inr", "call_exit_turnover_inr", "lot_size", "net_pnl_inr_per_lot",
]  # fmt: skip
COST_COLUMNS = ["charges_inr_per_lot", "net_after_charges_inr_per_lot"]


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_version_is_that_of_the_package(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command("--version")
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"backtest-pipelines {version('backtest-pipelines')}\n"


def test_strategies_shows_every_parameter_with_range_and_default(command: Command) -> None:
    shown = command("strategies").out
    for variant in catalogue.variants():
        assert f"{variant.name}: {variant.description}" in shown
        for parameter in variant.parameters:
            assert parameter.limit.removeprefix("allowed: ") in shown
    listed = command("strategies", "--json").json
    assert listed["symbols"] == ["NIFTY", "BANKNIFTY", "FINNIFTY"]
    assert [variant["name"] for variant in listed["variants"]] == [entry.name for entry in catalogue.variants()]
    assert {parameter["name"]: parameter["default"] for parameter in listed["variants"][0]["parameters"]} == {
        "spot_adjustment_type": 0,
        "spot_adjustment": 1.0,
        "call_sell_position": 0.0,
    }


def test_a_variant_added_to_the_catalogue_is_listed_and_runs(
    command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier = dataclasses.replace(
        catalogue.variant("call_sell_future_buy_t2"), name="call_sell_future_buy_t3", sessions_before_expiry=3
    )
    monkeypatch.setattr(catalogue, "VARIANTS", (*catalogue.VARIANTS, earlier))
    assert "call_sell_future_buy_t3" in command("strategies").out
    ran = command("run", "call_sell_future_buy_t3", "--home", home, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["trades"] > 0


def test_sample_says_what_it_wrote_and_refuses_a_folder_with_files(command: Command, tmp_path: Path) -> None:
    written = command("sample", tmp_path / "market", "--from-date", "2024-07-04", "--to-date", "2024-07-10", "--json")
    assert written.code == 0, written.err
    assert written.json["sessions"] == 5
    assert written.json["files"] == len(list((tmp_path / "market").iterdir())) == 10
    again = command("sample", tmp_path / "market")
    assert again.code == 2
    assert str(tmp_path / "market") in again.err


def test_ingest_reports_what_it_read_and_recognises_it_the_next_time(
    command: Command, market: Path, tmp_path: Path
) -> None:
    first = command("ingest", market, "--home", tmp_path, "--json")
    assert first.code == 0, first.err
    assert first.json["added"] == len(list(market.iterdir()))
    assert first.json["bad"] == []
    assert first.json["sessions_total"]["NIFTY"] > 30
    second = command("ingest", market, "--home", tmp_path)
    assert second.code == 0
    assert f"unchanged  {len(list(market.iterdir()))}" in second.out


def test_ingest_keeps_the_good_files_names_each_bad_one_and_exits_3(
    command: Command, market: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    for path in sorted(market.iterdir())[:4]:
        shutil.copy(path, folder)
    (folder / "broken.csv.zip").write_bytes(b"no archive")
    finished = command("ingest", folder, "--home", tmp_path / "home", "--json")
    assert finished.code == 3
    assert finished.json["added"] == 4
    assert [bad["name"] for bad in finished.json["bad"]] == ["broken.csv.zip"]
    assert "zip" in finished.json["bad"][0]["reason"]
    assert "bad file: broken.csv.zip: " in finished.err


@pytest.mark.parametrize("make", [lambda _folder: None, Path.mkdir])
def test_ingest_of_no_folder_or_an_empty_one_exits_3(command: Command, tmp_path: Path, make: object) -> None:
    assert callable(make)
    make(tmp_path / "inbox")
    finished = command("ingest", tmp_path / "inbox", "--home", tmp_path / "home")
    assert finished.code == 3
    assert str(tmp_path / "inbox") in finished.err


def test_ingest_takes_calendars(command: Command, market: Path, tmp_path: Path) -> None:
    calendar = tmp_path / "days.csv"
    calendar.write_text("date\n2024-06-15\n")
    good = command("ingest", market, "--home", tmp_path / "home", "--calendar", calendar)
    assert good.code == 0, good.err
    calendar.write_text("day\n2024-06-15\n")
    bad = command("ingest", market, "--home", tmp_path / "home", "--calendar", calendar)
    assert bad.code == 3
    assert "days.csv" in bad.err


def test_run_shows_a_summary(command: Command, home: Path) -> None:
    finished = command("run", VARIANT, "--home", home, "--no-cache")
    assert finished.code == 0, finished.err
    for name in (
        "variant",
        "symbol",
        "dates",
        "trades",
        "win rate",
        "net P&L",
        "CAGR",
        "max drawdown",
        "Sharpe",
    ):
        assert f"  {name} " in finished.out
    assert "computed in" in finished.out
    assert "charges per lot" not in finished.out


def test_the_second_run_of_a_question_is_a_hit_with_the_same_answer(command: Command, home: Path) -> None:
    question = ("run", VARIANT, "--home", home, "--set", "call_sell_position=0.5", "--json")
    first, second = command(*question).json, command(*question).json
    assert (first["cached"], first["tier"]) == (False, None)
    assert (second["cached"], second["tier"]) == (True, "file")
    for name in ("fingerprint", "question", "trades", "statistics", "notices", "totals"):
        assert first[name] == second[name]
    assert second["execution_id"] > first["execution_id"]
    assert command(*question, "--no-cache").json["cached"] is False


def test_the_json_of_a_run_holds_the_question_as_it_was_understood(
    command: Command, home: Path, tmp_path: Path
) -> None:
    phases = tmp_path / "phases.csv"
    phases.write_text("\ufeffstart,end\r\n2024-06-24,2024-07-31\r\n", encoding="utf-8")
    options = (
        "--symbol",
        "BANKNIFTY",
        "--set",
        "spot_adjustment_type=3",
        "--set",
        "call_sell_position=-1.50",
    )
    dates = (
        "--from-date",
        "2024-06-20",
        "--to-date",
        "2024-08-01",
        "--phases",
        phases,
        "--exit-at-expiry",
        "intrinsic",
    )
    finished = command("--json", "run", VARIANT, "--home", home, *options, *dates, "--costs", "--brokerage", "12.5")
    assert finished.code == 0, finished.err
    assert finished.json["question"] == {
        "variant": VARIANT,
        "symbol": "BANKNIFTY",
        "parameters": {"spot_adjustment_type": 3, "spot_adjustment": "1", "call_sell_position": "-1.5"},
        "from_date": "2024-06-20",
        "to_date": "2024-08-01",
        "phases": [["2024-06-24", "2024-07-31"]],
        "exit_at_expiry": "intrinsic",
        "brokerage_inr_per_order": "12.5",
    }
    assert set(finished.json["totals"]) == {"net_pnl_inr_per_lot", *COST_COLUMNS}


@pytest.mark.parametrize("costs", [(), ("--costs",)])
def test_the_output_holds_the_trades_of_the_summary(
    command: Command, home: Path, tmp_path: Path, costs: tuple[str, ...]
) -> None:
    output = tmp_path / "trades.csv"
    finished = command("run", VARIANT, "--home", home, *costs, "--output", output, "--json").json
    rows = read_csv(output)
    assert list(rows[0]) == [*TRADE_COLUMNS, *(COST_COLUMNS if costs else [])]
    assert len(rows) == finished["trades"] > 0
    assert sum(round(float(row["net_pnl"]) * 100) for row in rows) == round(
        finished["statistics"]["net_pnl_points"] * 100
    )
    assert finished["output"] == {"trades": str(output), "notices": str(tmp_path / "trades.notices.csv")}
    notices = read_csv(tmp_path / "trades.notices.csv")
    assert len(notices) == sum(finished["notices"].values())


def test_all_formats_hold_the_same_trades(command: Command, home: Path, tmp_path: Path) -> None:
    from pyarrow import parquet  # noqa: PLC0415

    for ending in ("csv", "json", "parquet"):
        assert command("run", VARIANT, "--home", home, "--output", tmp_path / f"trades.{ending}").code == 0
    rows = read_csv(tmp_path / "trades.csv")
    listed = json.loads((tmp_path / "trades.json").read_text())
    table = parquet.read_table(tmp_path / "trades.parquet")
    assert table.column_names == TRADE_COLUMNS == list(listed[0])
    for column in ("entry_date", "call_expiry"):
        assert [row[column] for row in rows] == [row[column] for row in listed]
        assert [row[column] for row in listed] == [day.isoformat() for day in table[column].to_pylist()]
    for column in ("net_pnl", "call_strike", "entry_spot"):
        assert [float(row[column]) for row in rows] == [row[column] for row in listed] == table[column].to_pylist()


def test_no_output_is_written_for_a_refused_question(command: Command, home: Path, tmp_path: Path) -> None:
    output = tmp_path / "trades.csv"
    assert command("run", "unknown", "--home", home, "--output", output).code == 2
    assert list(tmp_path.iterdir()) == []


def test_dates_too_short_for_a_window_give_no_trades_and_null_statistics(command: Command, home: Path) -> None:
    finished = command("run", VARIANT, "--home", home, "--from-date", "2024-07-01", "--to-date", "2024-07-02", "--json")
    assert finished.code == 0, finished.err
    assert finished.json["trades"] == 0
    assert finished.json["statistics"]["cagr_frac"] is None
    assert command("run", VARIANT, "--home", home, "--from-date", "2024-07-01", "--to-date", "2024-07-02").code == 0


def test_an_unexpected_exception_exits_1_and_says_that_it_is_a_bug(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_arguments: object, _screen: object) -> int:
        raise ZeroDivisionError("one by nothing")

    monkeypatch.setattr(sample, "command", fail)
    plain = command("sample", "x", *DAYS)
    assert plain.code == 1
    assert "ZeroDivisionError: one by nothing; this is a bug, --debug shows more" in plain.err
    assert "Traceback" not in plain.err
    assert "in fail" in command("sample", "x", "--debug").err
    assert command("sample", "x", "--json").json["error"]["type"] == "BugError"


def test_an_interrupt_exits_130_without_a_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_arguments: object, _screen: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(sample, "command", interrupt)
    finished = command("sample", "x")
    assert finished.code == entry.INTERRUPTED == 130
    assert finished.err.startswith("interrupted")
