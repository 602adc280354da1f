from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.invalidations import Invalidations

VARIANTS, SYMBOLS = ("one", "two"), ("NIFTY", "BANKNIFTY")
EVERY = [(variant, symbol) for variant in VARIANTS for symbol in SYMBOLS]


def stamped(invalidations: Invalidations) -> set[tuple[str, str]]:
    return {place for place in EVERY if invalidations.before_s(*place) > 0}


def test_nothing_is_invalid_at_first(database: Database) -> None:
    assert stamped(Invalidations(database)) == set()


@pytest.mark.parametrize(
    ("variant", "symbol", "expected"),
    [
        ("one", "NIFTY", {("one", "NIFTY")}),
        ("one", None, {("one", "NIFTY"), ("one", "BANKNIFTY")}),
        (None, "NIFTY", {("one", "NIFTY"), ("two", "NIFTY")}),
        (None, None, set(EVERY)),
    ],
)
def test_a_stamp_concerns_what_is_selected(
    database: Database, variant: str | None, symbol: str | None, expected: set[tuple[str, str]]
) -> None:
    invalidations = Invalidations(database)
    before_s = invalidations.now_s()
    invalidations.stamp(variant, symbol)
    after_s = invalidations.now_s()
    assert stamped(invalidations) == expected
    assert all(before_s <= invalidations.before_s(*place) <= after_s for place in expected)


def test_the_latest_of_the_stamps_that_concern_it_counts(database: Database) -> None:
    invalidations = Invalidations(database)
    now_s = invalidations.now_s()
    for variant, symbol, older_than_s in (
        (None, None, 300),
        ("one", None, 200),
        ("one", "NIFTY", 100),
        (None, "NIFTY", 50),
    ):
        invalidations.stamp(variant, symbol, older_than_s)
    ages_s = {place: round((now_s - invalidations.before_s(*place)) / 10) * 10 for place in EVERY}
    assert ages_s == {
        ("one", "NIFTY"): 50,
        ("one", "BANKNIFTY"): 200,
        ("two", "NIFTY"): 50,
        ("two", "BANKNIFTY"): 300,
    }


def test_a_stamp_is_never_lowered(database: Database) -> None:
    invalidations = Invalidations(database)
    invalidations.stamp("one")
    stamp_s = invalidations.before_s("one", "NIFTY")
    invalidations.stamp("one", None, 3600)
    assert invalidations.before_s("one", "NIFTY") == stamp_s
    invalidations.stamp("one")
    assert invalidations.before_s("one", "NIFTY") > stamp_s


def test_stamps_of_many_threads_leave_the_latest(database: Database) -> None:
    invalidations = Invalidations(database)
    threads = [threading.Thread(target=invalidations.stamp, args=(None, None, age)) for age in (30, 0, 20, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert invalidations.now_s() - invalidations.before_s("one", "NIFTY") < 10


def test_the_clock_is_one_of_seconds_since_1970(database: Database) -> None:
    invalidations = Invalidations(database)
    assert abs(invalidations.now_s() - time.time()) < 60
    assert invalidations.now_s() < invalidations.now_s()


def test_a_database_that_cannot_be_opened_is_unavailable() -> None:
    with pytest.raises(UnavailableError):
        Invalidations(Database(Path("/proc/no/such/folder/executions.sqlite"))).before_s("one", "NIFTY")
