"""Calendars of sessions and of expiries are read whole or refused by line."""

from datetime import date
from pathlib import Path

import pytest

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.market.units import day_number
from backtest_pipelines.panel.calendar import Calendar, CalendarExpiry, read_calendar

EXPIRIES = "symbol,expiry,type,scheduled\n"


def written(folder: Path, text: str, name: str = "calendar.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def day(text: str) -> int:
    return day_number(date.fromisoformat(text))


def test_sessions_are_sorted_and_distinct(tmp_path: Path) -> None:
    path = written(tmp_path, "date\n2021-11-30\n2021-11-04\n2021-11-30\n")
    assert read_calendar(path) == Calendar(sessions=(day("2021-11-04"), day("2021-11-30")))


def test_other_columns_of_a_calendar_of_sessions_are_not_read(tmp_path: Path) -> None:
    path = written(tmp_path, 'weekday,date,remark\nThu,2021-11-04,"Muhurat, one hour"\n')
    assert read_calendar(path).sessions == (day("2021-11-04"),)


def test_expiries_are_kept_by_symbol_with_the_date_first_announced(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        EXPIRIES
        + "NIFTY,2021-11-25,monthly,\n"
        + "NIFTY,2021-11-18,weekly,2021-11-19\n"
        + "BANKNIFTY,2021-11-25,monthly,2021-11-25\n",
    )
    calendar = read_calendar(path)
    november_25 = CalendarExpiry(day("2021-11-25"), day("2021-11-25"), is_monthly=True)
    assert calendar.of("NIFTY") == (
        CalendarExpiry(day("2021-11-18"), day("2021-11-19"), is_monthly=False),
        november_25,
    )
    assert calendar.of("BANKNIFTY") == (november_25,)
    assert calendar.of("FINNIFTY") == ()
    assert calendar.sessions == ()


def test_the_column_scheduled_may_be_absent(tmp_path: Path) -> None:
    path = written(tmp_path, "type,expiry,symbol\nweekly,2021-11-18,FINNIFTY\n")
    (expiry,) = read_calendar(path).of("FINNIFTY")
    assert expiry.scheduled == expiry.expiry == day("2021-11-18")


@pytest.mark.parametrize("text", ["date\n2021-11-04\n", EXPIRIES + "NIFTY,2021-11-25,monthly,\n"])
def test_a_byte_order_mark_and_windows_line_ends_change_nothing(tmp_path: Path, text: str) -> None:
    plain = read_calendar(written(tmp_path, text))
    assert plain != Calendar()
    assert read_calendar(written(tmp_path, "\ufeff" + text.replace("\n", "\r\n"), "windows.csv")) == plain


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("day\n2021-11-04\n", 1, "needs a column date"),
        ("symbol,expiry\nNIFTY,2021-11-25\n", 1, "columns symbol, expiry, type"),
        ("", 1, "is no calendar"),
        ("date\n2021-11-04\n04-11-2021\n", 3, "got '04-11-2021'; expected an ISO date"),
        ("date\n2021-11-31\n", 2, "got '2021-11-31'"),
        ("remark,date\nshort\n", 2, "got None"),
        (EXPIRIES + "NIFTY,,weekly,\n", 2, "got ''"),
        (EXPIRIES + "NIFTY,2021-11-25,monthly,\nNIFTY,2021-11-18,weekly,soon\n", 3, "got 'soon'"),
        (EXPIRIES + "SENSEX,2021-11-25,monthly,\n", 2, "symbol: got 'SENSEX'; allowed: NIFTY, BANKNIFTY, FINNIFTY"),
        (EXPIRIES + "NIFTY,2021-11-25,quarterly,\n", 2, "type: got 'quarterly'; allowed: weekly, monthly"),
    ],
)
def test_a_wrong_calendar_is_refused_with_file_and_line(tmp_path: Path, text: str, line: int, reason: str) -> None:
    with pytest.raises(BadDataError) as refused:
        read_calendar(written(tmp_path, text, "holidays.csv"))
    assert refused.value.name == "holidays.csv"
    assert refused.value.line == line
    assert reason in refused.value.reason


def test_a_field_longer_than_a_csv_may_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataError, match="field larger than field limit"):
        read_calendar(written(tmp_path, 'date\n"' + "x" * 200_000))


def test_a_calendar_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photo.csv").write_bytes(b"date\n\xff\xfe\xfa\n")
    for name in ("photo.csv", "absent.csv"):
        with pytest.raises(BadDataError, match=f"{name}: cannot be read as a calendar"):
            read_calendar(tmp_path / name)


def test_an_update_replaces_sessions_and_each_symbol_s_expiries_apart() -> None:
    weekly = CalendarExpiry(100, 100, is_monthly=False)
    monthly = CalendarExpiry(107, 107, is_monthly=True)
    old = Calendar((1, 2, 3), {"NIFTY": (weekly,), "BANKNIFTY": (weekly,)})
    assert old.updated(Calendar((4,))) == Calendar((4,), {"NIFTY": (weekly,), "BANKNIFTY": (weekly,)})
    changed = old.updated(Calendar(expiries={"NIFTY": (monthly,)}))
    assert changed == Calendar((1, 2, 3), {"NIFTY": (monthly,), "BANKNIFTY": (weekly,)})


def test_a_calendar_survives_the_way_through_json() -> None:
    calendar = Calendar((1, 2), {"NIFTY": (CalendarExpiry(100, 99, is_monthly=False),)})
    assert Calendar.from_json(calendar.to_json()) == calendar


def test_an_empty_update_of_an_empty_calendar_is_the_empty_calendar() -> None:
    assert Calendar().updated(Calendar()) == Calendar()
    assert Calendar.from_json(Calendar().to_json()) == Calendar()
