"""Bad requests: exit code 2 and a message with field, value and limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from backtest_pipelines_tests.cli.conftest import VARIANT, Command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (),
            "got 'the following arguments are required: COMMAND'; see backtest-pipelines --help",
        ),
        (("rn",), "invalid choice: 'rn' (choose from"),
        (("run",), "required: VARIANT'; see backtest-pipelines run --help"),
        (
            ("run", VARIANT, "--simbol", "X"),
            "unknown arguments: --simbol X'; see backtest-pipelines run --help",
        ),
        (("run", VARIANT, "--out", "x.csv"), "unknown arguments: --out x.csv"),
        (("run", VARIANT, "--set", "x"), "--set: got 'x'; allowed: NAME=VALUE"),
        (("run", VARIANT, "--set", "=1"), "--set: got '=1'; allowed: NAME=VALUE"),
        (("run", VARIANT, "--set", "a=1", "--set", "a=2"), "--set: got 'a=2'; allowed: each parameter once"),
        (
            ("run", VARIANT, "--output", "x.xls"),
            "output: got 'x.xls'; allowed: a file name that ends in .csv, .json",
        ),
        (
            ("run", VARIANT, "--output", "/no/such/x.csv"),
            "output: got '/no/such/x.csv'; allowed: a file in a folder",
        ),
        (("sample", "x", "--seed", "many"), "seed: got 'many'; allowed: a whole number"),
        (("sample", "x", "--from-date", "May"), "from_date: got 'May'; allowed: an ISO date"),
    ],
)
def test_a_wrong_command_line_is_refused(command: Command, arguments: tuple[str, ...], message: str) -> None:
    finished = command(*arguments)
    assert finished.code == 2
    assert finished.out == ""
    assert finished.err.startswith("error: ")
    assert message in finished.err
    assert finished.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("call_sell_future_buy_week",),
            "variant: got 'call_sell_future_buy_week'; allowed: call_sell_future_buy_weekly",
        ),
        (("call_sell_future_buy_week",), "did you mean call_sell_future_buy_weekly?"),
        (
            (VARIANT, "--symbol", "BANKNIFY"),
            "symbol: got 'BANKNIFY'; allowed: NIFTY, BANKNIFTY, FINNIFTY; did you mean",
        ),
        ((VARIANT, "--symbol", "BANKNIFY"), "did you mean BANKNIFTY?"),
        (
            (VARIANT, "--set", "call_sell_positon=1"),
            "parameter: got 'call_sell_positon'; allowed: spot_adjustment_type",
        ),
        ((VARIANT, "--set", "call_sell_positon=1"), "did you mean call_sell_position?"),
        (
            (VARIANT, "--set", "call_sell_position=51"),
            "call_sell_position: got '51'; allowed: -50 to 50 percent",
        ),
        ((VARIANT, "--set", "spot_adjustment_type=4"), "spot_adjustment_type: got '4'; allowed: 0 (none), 1"),
        ((VARIANT, "--from-date", "2024-13-01"), "from_date: got '2024-13-01'; allowed: an ISO date"),
        (
            (VARIANT, "--from-date", "2024-08-01", "--to-date", "2024-07-01"),
            "from_date: got '2024-08-01'; allowed: not after",
        ),
        ((VARIANT, "--exit-at-expiry", "open"), "exit_at_expiry: got 'open'; allowed: close, intrinsic"),
        (
            (VARIANT, "--brokerage", "20"),
            "brokerage_inr_per_order: got '20'; allowed: only where costs are asked for",
        ),
        (
            (VARIANT, "--costs", "--brokerage", "-5"),
            "brokerage_inr_per_order: got '-5'; allowed: 0 to 10000 INR",
        ),
    ],
)
def test_a_wrong_question_is_refused(command: Command, home: Path, arguments: tuple[str, ...], message: str) -> None:
    finished = command("run", "--home", home, *arguments)
    assert finished.code == 2
    assert finished.out == ""
    assert message in finished.err
    assert finished.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got ''; allowed: a first line start,end"),
        ("from,to\n2024-06-01,2024-07-01\n", "got 'from,to'; allowed: a first line start,end"),
        ("start,end\n", "got 'no phase'; allowed: at least one row"),
        ("start,end\n2024-06-01\n", "row 1: got '2024-06-01'; allowed: two fields"),
        (
            "start,end\n2024-06-01,2024-06-30\n2024-07-01,31 July\n",
            "row 2, end: got '31 July'; allowed: an ISO date",
        ),
        (
            "start,end\n2024-07-01,2024-06-01\n",
            "row 1, start: got '2024-07-01'; allowed: not after its end, 2024-06-01",
        ),
        (
            "start,end\n2024-06-01,2024-07-01\n2024-07-01,2024-08-01\n",
            "got '2024-07-01 to 2024-08-01'; allowed: phases that do not overlap",
        ),
    ],
)
def test_a_bad_file_of_phases_is_refused(command: Command, home: Path, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "phases.csv"
    file.write_text(text)
    finished = command("run", VARIANT, "--home", home, "--phases", file)
    assert finished.code == 2
    assert "phases" in finished.err
    assert message in finished.err


def test_a_missing_file_of_phases_is_refused(command: Command, tmp_path: Path) -> None:
    finished = command("run", VARIANT, "--phases", tmp_path / "none.csv")
    assert finished.code == 2
    assert f"--phases {tmp_path / 'none.csv'}: got 'No such file or directory'" in finished.err


def test_with_json_an_error_is_an_object_on_stdout(command: Command, home: Path) -> None:
    finished = command("run", VARIANT, "--home", home, "--set", "call_sell_position=51", "--json")
    assert finished.code == 2
    limit = "allowed: -50 to 50 percent, at most 4 decimal places"
    assert finished.json == {
        "error": {
            "type": "BadRequestError",
            "message": f"call_sell_position: got '51'; {limit}",
            "field": "call_sell_position",
            "value": "51",
            "limit": limit,
        }
    }
    assert finished.err == f"error: call_sell_position: got '51'; {limit}\n"


def test_a_wrong_environment_is_refused_naming_the_variable(
    command: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PORT", "many")
    finished = command("run", VARIANT, "--home", home)
    assert finished.code == 2
    assert "REDIS_PORT: got 'many'; allowed: a whole number" in finished.err


def test_a_home_without_data_exits_3_and_says_what_to_do(command: Command, tmp_path: Path) -> None:
    finished = command("run", VARIANT, "--home", tmp_path)
    assert finished.code == 3
    assert "NIFTY" in finished.err
    assert "backtest-pipelines ingest FOLDER" in finished.err


def test_dates_without_data_exit_3(command: Command, home: Path) -> None:
    finished = command("run", VARIANT, "--home", home, "--from-date", "2030-01-01", "--json")
    assert finished.code == 3
    assert finished.json["error"]["type"] == "MissingDataError"
    assert finished.json["error"]["field"] is None
