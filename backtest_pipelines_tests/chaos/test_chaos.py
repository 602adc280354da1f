"""Some groups of faults, their order and times drawn from a seed; `make chaos` inflicts all kinds, one by one."""

import random
from collections.abc import Iterator

import pytest

from backtest_pipelines_tests.chaos.rounds import TESTED_ON_POSTGRES, TESTED_ON_SQLITE, Survive, hurt

SEED = str(random.SystemRandom().randrange(10**6))
LONG_STOP_S = 6.0
WITHIN_S = 90.0
"""Three times what is promised: other tests use the machine too."""


@pytest.fixture(scope="module")
def survive_on_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survive]:
    folder = tmp_path_factory.mktemp("chaos")
    with hurt(folder, on_postgres=True, long_stop_s=LONG_STOP_S, within_s=WITHIN_S) as survive:
        yield survive


@pytest.fixture(scope="module")
def survive_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Survive]:
    folder = tmp_path_factory.mktemp("chaos")
    with hurt(folder, on_postgres=False, long_stop_s=LONG_STOP_S, within_s=WITHIN_S) as survive:
        yield survive


@pytest.mark.parametrize("kinds", TESTED_ON_POSTGRES, ids=" ".join)
def test_faults_are_survived_on_postgres(kinds: tuple[str, ...], survive_on_postgres: Survive) -> None:
    outcome = survive_on_postgres(random.Random(SEED).sample(kinds, len(kinds)), SEED)
    assert outcome.problem is None, f"seed {SEED}: {outcome.problem}"


@pytest.mark.parametrize("kinds", TESTED_ON_SQLITE, ids=" ".join)
def test_faults_are_survived_on_sqlite(kinds: tuple[str, ...], survive_on_sqlite: Survive) -> None:
    outcome = survive_on_sqlite(kinds, SEED)
    assert outcome.problem is None, f"seed {SEED}: {outcome.problem}"
