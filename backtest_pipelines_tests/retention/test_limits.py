from __future__ import annotations

from dataclasses import asdict

import pytest

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.retention.limits import DEFAULT, LIMITS, VARIABLE, RetentionLimits, limits_from, with_values


def test_every_limit_has_a_range_that_holds_its_default() -> None:
    assert list(LIMITS) == list(asdict(DEFAULT))
    assert all(LIMITS[name].low <= value <= LIMITS[name].high for name, value in asdict(DEFAULT).items())


def test_the_environment_names_some_limits_and_leaves_the_others() -> None:
    settings = settings_from({"BACKTEST_HOME": "/h", VARIABLE: " keep_runs_days=7 , most_runs = 500,"})
    assert settings.retention == RetentionLimits(keep_runs_days=7, most_runs=500)
    assert settings_from({"BACKTEST_HOME": "/h"}).retention == DEFAULT


def test_values_given_win() -> None:
    limits = limits_from("most_runs=500,most_answers_mb=7")
    assert with_values(limits, {"most_runs": "20", "keep_logs_days": 3}) == RetentionLimits(
        most_runs=20, most_answers_mb=7, keep_logs_days=3
    )


@pytest.mark.parametrize(
    ("text", "field", "value", "limit"),
    [
        ("keep_runs_days=0", "keep_runs_days", 0, "allowed: a whole number from 1 to 36500"),
        ("keep_runs_days=-1", "keep_runs_days", "-1", "allowed: a whole number from 1 to 36500"),
        ("most_runs=1.5", "most_runs", "1.5", "allowed: a whole number from 1 to 10000000"),
        ("most_runs=", "most_runs", "", "allowed: a whole number from 1 to 10000000"),
        ("most_answers_mb=100000001", "most_answers_mb", 100000001, "allowed: a whole number from 1 to 100000000"),
        ("keep_everything=1", VARIABLE, "keep_everything=1", "allowed: NAME=VALUE, each name once"),
        ("most_runs", VARIABLE, "most_runs", "allowed: NAME=VALUE, each name once"),
        ("most_runs=1,most_runs=2", VARIABLE, "most_runs=2", "allowed: NAME=VALUE, each name once"),
    ],
)
def test_a_bad_limit_is_refused_by_name_value_and_range(text: str, field: str, value: object, limit: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        limits_from(text)
    assert (caught.value.field, caught.value.value) == (field, value)
    assert caught.value.limit.startswith(limit)
