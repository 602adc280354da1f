from __future__ import annotations

from collections.abc import Iterator

import pytest

from backtest_pipelines_tests.api.login.installations import Guarded, guarded


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with guarded(tmp_path_factory.mktemp("login") / "home") as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_seen(request: pytest.FixtureRequest) -> None:
    if "service" in request.fixturenames:
        request.getfixturevalue("service").stand_in.requests.clear()
