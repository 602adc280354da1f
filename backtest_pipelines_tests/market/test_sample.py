"""The sample market: its files, its calendar and its prices, read back with the standard library alone."""

from __future__ import annotations

import csv
import io
import math
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.market.sample import calendar, lots, prices, write_sample_market

SYMBOLS = ("NIFTY", "BANKNIFTY", "FINNIFTY")
LEGACY_HEADER = (
    "INSTRUMENT,SYMBOL,EXPIRY_DT,STRIKE_PR,OPTION_TYP,OPEN,HIGH,LOW,CLOSE,SETTLE_PR,CONTRACTS,VAL_INLAKH,OPEN_INT,"
    "CHG_IN_OI,TIMESTAMP,"
)
UDIFF_HEADER = (
    "TradDt,BizDt,Sgmt,Src,FinInstrmTp,FinInstrmId,ISIN,TckrSymb,SctySrs,XpryDt,FininstrmActlXpryDt,StrkPric,OptnTp,"
    "FinInstrmNm,OpnPric,HghPric,LwPric,ClsPric,LastPric,PrvsClsgPric,UndrlygPric,SttlmPric,OpnIntrst,"
    "ChngInOpnIntrst,TtlTradgVol,TtlTrfVal,TtlNbOfTxsExctd,SsnId,NewBrdLotQty,Rmks,Rsvd1,Rsvd2,Rsvd3,Rsvd4"
)
TUESDAY, WEDNESDAY, THURSDAY = 1, 2, 3


@pytest.fixture(scope="module")
def turn_of_format(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "june_july_2024"
    write_sample_market(folder, first=date(2024, 6, 24), last=date(2024, 7, 24))
    return folder


@pytest.fixture(scope="module")
def august_2025(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "july_september_2025"
    write_sample_market(folder, first=date(2025, 7, 28), last=date(2025, 9, 3))
    return folder


def text_of(bhavcopy: Path) -> str:
    with zipfile.ZipFile(bhavcopy) as archive:
        (member,) = archive.namelist()
        assert f"{member}.zip" == bhavcopy.name
        return archive.read(member).decode()


def rows_of(bhavcopy: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(bhavcopy))))


def udiff(folder: Path, day: date) -> list[dict[str, str]]:
    return rows_of(folder / f"BhavCopy_NSE_FO_0_0_0_{day:%Y%m%d}_F_0000.csv.zip")


def udiff_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("BhavCopy_*.zip"))


def option_expiries(rows: list[dict[str, str]], symbol: str) -> set[str]:
    return {row["XpryDt"] for row in rows if row["TckrSymb"] == symbol and row["OptnTp"]}


def real_expiries(symbol: str) -> dict[date, str]:
    """Return every expiry that comes true within the sample, with its kind."""
    found: dict[date, str] = {}
    for session in calendar.sessions(calendar.FIRST_DAY, calendar.LAST_DAY):
        for expiry in calendar.listed_expiries(symbol, session):
            if expiry.listed == session:
                found[session] = expiry.kind
    return found


def test_the_same_seed_gives_the_same_bytes_and_a_later_end_only_adds_files(
    turn_of_format: Path, tmp_path: Path
) -> None:
    write_sample_market(tmp_path / "shorter", first=date(2024, 6, 24), last=date(2024, 7, 12))
    shorter = sorted((tmp_path / "shorter").iterdir())
    assert len(shorter) == 2 * 15
    for path in shorter:
        assert path.read_bytes() == (turn_of_format / path.name).read_bytes(), path.name


def test_another_seed_gives_another_market(tmp_path: Path) -> None:
    name = "BhavCopy_NSE_FO_0_0_0_20250801_F_0000.csv.zip"
    for seed in (1, 2):
        write_sample_market(tmp_path / str(seed), seed=seed, first=date(2025, 8, 1), last=date(2025, 8, 1))
    assert (tmp_path / "1" / name).read_bytes() != (tmp_path / "2" / name).read_bytes()


def test_each_session_has_a_bhavcopy_of_its_time_and_its_index_closes(tmp_path: Path) -> None:
    told: list[tuple[date, int, int]] = []
    summary = write_sample_market(
        tmp_path,
        first=date(2024, 7, 5),
        last=date(2024, 7, 8),
        on_session=lambda day, done, total: told.append((day, done, total)),
    )
    names = {
        "fo05JUL2024bhav.csv.zip",
        "ind_close_all_05072024.csv",
        "BhavCopy_NSE_FO_0_0_0_20240708_F_0000.csv.zip",
        "ind_close_all_08072024.csv",
    }
    assert {path.name for path in tmp_path.iterdir()} == names
    assert told == [(date(2024, 7, 5), 1, 2), (date(2024, 7, 8), 2, 2)]
    rows = sum(len(rows_of(path)) for path in tmp_path.glob("*.zip"))
    assert (summary.sessions, summary.files, summary.rows) == (2, 4, rows)


def test_the_legacy_file_has_its_quirks(turn_of_format: Path) -> None:
    lines = text_of(turn_of_format / "fo27JUN2024bhav.csv.zip").splitlines()
    assert lines[0] == LEGACY_HEADER
    fields = [line.split(",") for line in lines[1:]]
    assert {len(row) for row in fields} == {16}
    assert {row[14] for row in fields} == {"27-JUN-2024"}
    assert {row[15] for row in fields} == {""}
    assert {row[0] for row in fields} == {"FUTIDX", "FUTSTK", "OPTIDX", "OPTSTK"}
    assert {tuple(row[3:5]) for row in fields if row[0].startswith("FUT")} == {("0", "XX")}
    assert "27-Jun-2024" in {row[2] for row in fields}
    for row in fields:
        if int(row[10]):
            # Notional turnover in lakh: (strike + premium) x units, the premium between low and high.
            lot = {"NIFTY": 25, "BANKNIFTY": 15, "FINNIFTY": 40}.get(row[1])
            if lot is not None and row[2].endswith("Jun-2024"):
                units = int(row[10]) * lot
                least, most = ((float(row[3]) + float(price)) * units / 100_000 for price in (row[7], row[6]))
                assert least - 0.006 <= float(row[11]) <= most + 0.006, row


def test_the_udiff_file_has_its_columns_and_units(turn_of_format: Path) -> None:
    path = turn_of_format / "BhavCopy_NSE_FO_0_0_0_20240711_F_0000.csv.zip"
    assert text_of(path).splitlines()[0] == UDIFF_HEADER
    rows = rows_of(path)
    assert {(row["Src"], row["Sgmt"]) for row in rows} == {("NSE", "FO")}
    assert {row["FinInstrmTp"] for row in rows} == {"IDF", "IDO", "STF", "STO"}
    assert len({row["FinInstrmId"] for row in rows}) == len(rows)
    assert [row["FinInstrmId"] for row in rows] != sorted(row["FinInstrmId"] for row in rows)
    for row in rows:
        is_future = row["FinInstrmTp"].endswith("F")
        assert (row["StrkPric"] == "" and row["OptnTp"] == "") == is_future
        strike = float(row["StrkPric"] or 0)
        units = int(row["TtlTradgVol"]) * int(row["NewBrdLotQty"])
        assert int(row["OpnIntrst"]) % int(row["NewBrdLotQty"]) == 0
        assert int(row["OpnIntrst"]) >= 0
        least, most = (units * (strike + float(row[column])) for column in ("LwPric", "HghPric"))
        assert least - 0.01 <= float(row["TtlTrfVal"]) <= most + 0.01, row
    names = {row["FinInstrmNm"] for row in rows if row["TckrSymb"] == "NIFTY"}
    assert {"NIFTY24JULFUT", "NIFTY2471124000CE", "NIFTY24JUL24000PE"} <= names


def test_prices_of_a_row_are_in_order_and_untraded_rows_are_stale(turn_of_format: Path) -> None:
    closes: dict[str, str] = {}
    for path in udiff_files(turn_of_format):
        for row in rows_of(path):
            before = closes.get(row["FinInstrmId"])
            assert before is None or row["PrvsClsgPric"] == before
            closes[row["FinInstrmId"]] = row["ClsPric"]
            if row["TtlTradgVol"] == "0":
                assert {row[name] for name in ("OpnPric", "HghPric", "LwPric", "TtlTrfVal")} == {"0.00"}
                assert row["ClsPric"] == row["PrvsClsgPric"]
            else:
                low, high = float(row["LwPric"]), float(row["HghPric"])
                assert 0.05 <= low <= high
                assert all(low <= float(row[name]) <= high for name in ("OpnPric", "ClsPric", "LastPric"))


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_forty_to_forty_five_percent_of_options_are_untraded(august_2025: Path, symbol: str) -> None:
    for path in udiff_files(august_2025):
        volumes = [
            int(row["TtlTradgVol"])
            for row in rows_of(path)
            if row["TckrSymb"] == symbol and row["FinInstrmTp"] == "IDO"
        ]
        assert 0.38 <= volumes.count(0) / len(volumes) <= 0.47, path.name


def traded_pairs(rows: list[dict[str, str]], symbol: str) -> Iterator[tuple[str, float, float, float]]:
    """Yield expiry, strike, call and put of a symbol where both were traded."""
    closes: dict[tuple[str, float], dict[str, float]] = defaultdict(dict)
    for row in rows:
        if row["TckrSymb"] == symbol and row["OptnTp"] and row["TtlTradgVol"] != "0":
            closes[row["XpryDt"], float(row["StrkPric"])][row["OptnTp"]] = float(row["ClsPric"])
    for (expiry, strike), sides in closes.items():
        if len(sides) == 2:
            yield expiry, strike, sides["CE"], sides["PE"]


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_calls_puts_and_futures_keep_parity(august_2025: Path, symbol: str) -> None:
    misses = []
    for path in udiff_files(august_2025):
        rows = rows_of(path)
        session = date.fromisoformat(rows[0]["TradDt"])
        futures = {
            row["XpryDt"]: float(row["ClsPric"])
            for row in rows
            if row["TckrSymb"] == symbol and row["FinInstrmTp"] == "IDF" and row["TtlTradgVol"] != "0"
        }
        for expiry, strike, call, put in traded_pairs(rows, symbol):
            if expiry in futures:
                years = (date.fromisoformat(expiry) - session).days / 365
                forward = strike + (call - put) * math.exp(prices.INTEREST_RATE * years)
                misses.append(abs(forward / futures[expiry] - 1))
    assert len(misses) > 200
    assert float(np.median(misses)) < 0.0005
    assert max(misses) < 0.004


def test_contracts_settle_at_the_index_close_on_their_last_day(august_2025: Path) -> None:
    rows = udiff(august_2025, date(2025, 8, 28))
    with (august_2025 / "ind_close_all_28082025.csv").open() as file:
        closes = {row["Index Name"]: row["Closing Index Value"] for row in csv.DictReader(file)}
    expiring = [row for row in rows if row["XpryDt"] == "2025-08-28" and row["TckrSymb"] == "NIFTY"]
    assert len(expiring) > 100
    assert {float(row["SttlmPric"]) for row in expiring} == {float(closes["Nifty 50"])}
    assert {float(row["UndrlygPric"]) for row in expiring} == {float(closes["Nifty 50"])}
    spot = float(closes["Nifty 50"])
    for expiry, strike, call, put in traded_pairs(rows, "NIFTY"):
        if expiry == "2025-08-28":
            assert call - put == pytest.approx(spot - strike, abs=0.002 * spot)


def test_index_closes_name_the_three_indices(august_2025: Path) -> None:
    with (august_2025 / "ind_close_all_01082025.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {"Nifty 50", "Nifty Bank", "Nifty Financial Services"} <= {row["Index Name"] for row in rows}
    assert {row["Index Date"] for row in rows} == {"01-08-2025"}
    for row in rows:
        low, high = float(row["Low Index Value"]), float(row["High Index Value"])
        assert low <= float(row["Open Index Value"]) <= high
        assert low <= float(row["Closing Index Value"]) <= high


def test_sessions_know_holidays_and_special_sessions() -> None:
    sessions = set(calendar.sessions(calendar.FIRST_DAY, calendar.LAST_DAY))
    assert len(sessions) == 375
    special = {date(2024, 5, 18), date(2024, 11, 1), date(2025, 2, 1), date(2025, 10, 21)}
    assert special <= sessions
    assert not {date(2024, 5, 20), date(2024, 11, 20), date(2025, 2, 26), date(2025, 10, 22)} & sessions


def test_nifty_expires_each_week_on_thursday_then_on_tuesday() -> None:
    expiries = real_expiries("NIFTY")
    assert expiries[date(2025, 8, 28)] == "monthly"
    assert expiries[date(2025, 9, 2)] == "weekly"
    assert expiries[date(2025, 9, 30)] == "monthly"
    gaps = {(later - earlier).days for earlier, later in zip(expiries, list(expiries)[1:], strict=False)}
    assert gaps == {5, 6, 7, 8}
    moved = {day for day in expiries if day.weekday() != (THURSDAY if day < date(2025, 9, 1) else TUESDAY)}
    assert moved == {date(2024, 8, 14), date(2025, 4, 9), date(2025, 4, 30), date(2025, 10, 20)}


def test_weeklies_of_banknifty_and_finnifty_end_in_november_2024() -> None:
    last_weeklies = {
        symbol: max(day for day, kind in real_expiries(symbol).items() if kind == "weekly")
        for symbol in ("BANKNIFTY", "FINNIFTY")
    }
    assert last_weeklies == {"BANKNIFTY": date(2024, 11, 13), "FINNIFTY": date(2024, 11, 19)}
    for symbol in last_weeklies:
        later = [day for day, kind in real_expiries(symbol).items() if day > date(2024, 11, 19)]
        assert len(later) == 12  # one a month


def test_monthlies_follow_the_moves_of_the_weekday() -> None:
    banknifty, finnifty = real_expiries("BANKNIFTY"), real_expiries("FINNIFTY")
    assert {date(2024, 12, 24), date(2025, 1, 30), date(2025, 2, 27), date(2025, 9, 30)} <= set(banknifty)
    assert {date(2024, 12, 31), date(2025, 1, 30), date(2025, 8, 28), date(2025, 9, 30)} <= set(finnifty)
    assert date(2024, 10, 1) in banknifty  # a Wednesday's holiday


def test_re_dating_is_seen_between_two_files(august_2025: Path, tmp_path: Path) -> None:
    before, after = (udiff(august_2025, date(2025, *day)) for day in ((7, 31), (8, 1)))
    for symbol in ("NIFTY", "BANKNIFTY"):
        old, new = option_expiries(before, symbol), option_expiries(after, symbol)
        assert {"2025-09-25", "2025-12-24"} <= old
        assert {"2025-09-30", "2025-12-30"} <= new
        assert not {"2025-09-25", "2025-12-24"} & new
    contracts = [
        {row["FinInstrmId"] for row in rows if (row["TckrSymb"], row["XpryDt"]) == ("NIFTY", expiry)}
        for rows, expiry in ((before, "2025-09-25"), (after, "2025-09-30"))
    ]
    assert contracts[0] <= contracts[1]
    assert len(contracts[0]) >= len(contracts[1]) / 2
    assert "2025-09-02" in option_expiries(before, "NIFTY")

    write_sample_market(tmp_path / "turn", first=date(2024, 12, 31), last=date(2025, 1, 1))
    eve, new_year = (udiff(tmp_path / "turn", day) for day in (date(2024, 12, 31), date(2025, 1, 1)))
    assert option_expiries(eve, "BANKNIFTY") >= {"2025-01-29", "2025-02-25", "2025-03-26"}
    assert option_expiries(new_year, "BANKNIFTY") >= {"2025-01-30", "2025-02-27", "2025-03-27"}
    assert option_expiries(eve, "FINNIFTY") == {"2024-12-31", "2025-01-28", "2025-02-25"}
    assert option_expiries(new_year, "FINNIFTY") == {"2025-01-30", "2025-02-27", "2025-03-27"}


def test_no_contract_vanishes_before_its_expiry(august_2025: Path) -> None:
    alive: dict[str, str] = {}
    for path in udiff_files(august_2025):
        rows = rows_of(path)
        listed = {row["FinInstrmId"] for row in rows}
        session = rows[0]["TradDt"]
        assert not {token for token, expiry in alive.items() if expiry >= session} - listed, path.name
        alive = {row["FinInstrmId"]: row["XpryDt"] for row in rows}


@pytest.mark.parametrize(
    ("symbol", "expiry", "weekly", "lot"),
    [
        ("NIFTY", date(2024, 12, 19), True, 25),
        ("NIFTY", date(2024, 12, 26), False, 25),
        ("NIFTY", date(2025, 1, 2), True, 75),
        ("NIFTY", date(2025, 1, 30), False, 25),
        ("NIFTY", date(2025, 2, 27), False, 75),
        ("NIFTY", date(2026, 1, 27), False, 65),
        ("BANKNIFTY", date(2024, 11, 13), True, 15),
        ("BANKNIFTY", date(2025, 1, 30), False, 15),
        ("BANKNIFTY", date(2025, 2, 25), False, 30),
        ("BANKNIFTY", date(2025, 6, 26), False, 30),
        ("BANKNIFTY", date(2025, 7, 31), False, 35),
        ("FINNIFTY", date(2024, 7, 23), True, 40),
        ("FINNIFTY", date(2024, 7, 30), False, 25),
        ("FINNIFTY", date(2024, 8, 6), True, 25),
        ("FINNIFTY", date(2025, 2, 27), False, 65),
    ],
)
def test_the_lot_size_goes_by_the_expiry(symbol: str, expiry: date, weekly: bool, lot: int) -> None:
    assert lots.lot_size(symbol, expiry, weekly=weekly) == lot


def test_the_files_carry_the_lot_sizes_and_strikes_of_the_symbols(turn_of_format: Path) -> None:
    rows = udiff(turn_of_format, date(2024, 7, 22))
    found = {(row["TckrSymb"], row["XpryDt"]): int(row["NewBrdLotQty"]) for row in rows}
    assert found["FINNIFTY", "2024-07-23"] == 40
    assert found["FINNIFTY", "2024-07-30"] == 25
    assert found["NIFTY", "2024-07-25"] == 25
    assert found["BANKNIFTY", "2024-07-24"] == 15
    strikes = defaultdict(set)
    for row in rows:
        if row["OptnTp"]:
            strikes[row["TckrSymb"]].add(float(row["StrkPric"]))
    assert {symbol: min(np.diff(sorted(strikes[symbol]))) for symbol in SYMBOLS} == {
        "NIFTY": 50,
        "BANKNIFTY": 100,
        "FINNIFTY": 50,
    }


def test_the_normal_distribution_is_close_to_the_exact_one() -> None:
    values = np.linspace(-6, 6, 241)
    exact = [0.5 * math.erfc(-value / math.sqrt(2)) for value in values]
    np.testing.assert_allclose(prices.normal_cdf(values), exact, rtol=2e-7)


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadRequestError, match="FOLDER"):
        write_sample_market(tmp_path, first=date(2024, 5, 2), last=date(2024, 5, 3))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("first", "last", "seed"),
    [
        (date(2024, 4, 30), date(2024, 5, 3), 1),
        (date(2025, 10, 30), date(2025, 11, 3), 1),
        (date(2024, 5, 3), date(2024, 5, 2), 1),
        (date(2024, 5, 1), date(2024, 5, 1), 1),
        (date(2024, 5, 2), date(2024, 5, 3), -1),
    ],
)
def test_dates_without_a_session_and_a_negative_seed_are_refused(
    tmp_path: Path, first: date, last: date, seed: int
) -> None:
    with pytest.raises(BadRequestError):
        write_sample_market(tmp_path / "new", seed=seed, first=first, last=last)
    assert not (tmp_path / "new").exists()
