"""One fault of each kind, at times drawn from a seed; `python -m backtest_pipelines_tests.chaos` inflicts many."""

import random
from collections.abc import Callable, Iterator

import pytest

from backtest_pipelines_tests.chaos.rounds import KINDS, Outcome, hurt

SEED = str(random.SystemRandom().randrange(10**6))
WITHIN_S = 60.0
"""Twice what is promised: other tests use the machine too."""
IN_SQLITE = ("worker_child_killed", "bells_lost", "several_killed")


@pytest.fixture(scope="module")
def survive_on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Outcome]]:
    with hurt(tmp_path_factory.mktemp("p"), on_postgres=True, long_stop_s=6, within_s=WITHIN_S) as survive:
        yield survive


@pytest.fixture(scope="module")
def survive_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Outcome]]:
    with hurt(tmp_path_factory.mktemp("s"), on_postgres=False, long_stop_s=6, within_s=WITHIN_S) as survive:
        yield survive


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_is_survived_on_postgres(kind: str, survive_on_postgres: Callable[[str, str], Outcome]) -> None:
    outcome = survive_on_postgres(kind, SEED)
    assert outcome.problem is None, f"seed {SEED}: {outcome.problem}"


@pytest.mark.parametrize("kind", IN_SQLITE)
def test_a_fault_is_survived_on_sqlite(kind: str, survive_on_sqlite: Callable[[str, str], Outcome]) -> None:
    outcome = survive_on_sqlite(kind, SEED)
    assert outcome.problem is None, f"seed {SEED}: {outcome.problem}"
