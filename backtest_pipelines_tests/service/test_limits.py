"""Runs that take too long, with real processes."""

from collections.abc import Iterator

import pytest

from backtest_pipelines_tests.service.dagster import witness
from backtest_pipelines_tests.service.running import Service, running_service

SOFT_LIMIT_S, HARD_LIMIT_S = 6, 10


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    limits = {"BACKTEST_SOFT_LIMIT_S": str(SOFT_LIMIT_S), "BACKTEST_HARD_LIMIT_S": str(HARD_LIMIT_S)}
    with running_service(tmp_path_factory.mktemp("home"), limits) as running:
        yield running


def test_at_the_soft_limit_a_run_stops_cleanly_and_is_not_retried(service: Service) -> None:
    run_id = service.web.launch_slow(seconds=60)
    assert service.web.wait(run_id, SOFT_LIMIT_S + 6) == "FAILURE"
    assert f"TimeLimitError: the run took longer than the soft limit of {SOFT_LIMIT_S} s" in service.web.words(run_id)
    assert service.web.tags(run_id)["dagster/will_retry"] == "false"
    assert len(witness(service.home, run_id)) == 1


def test_at_the_hard_limit_a_deaf_run_is_killed_and_not_retried(service: Service) -> None:
    run_id = service.web.launch_slow(seconds=60, deaf=True)
    assert service.web.wait(run_id, HARD_LIMIT_S + 15) == "FAILURE"
    assert f"TimeLimitError: it ran longer than the hard limit of {HARD_LIMIT_S} s" in service.web.words(run_id)
    assert service.web.tags(run_id)["dagster/will_retry"] == "false"
    assert len(witness(service.home, run_id)) == 1
    assert service.web.wait(service.web.launch_slow(), 10) == "SUCCESS"
