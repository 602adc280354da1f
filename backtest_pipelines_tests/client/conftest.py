from __future__ import annotations

from collections.abc import Iterator

import pytest

from backtest_pipelines.client import Client
from backtest_pipelines_tests.client.stand_in import Service, stand_in


@pytest.fixture
def service() -> Iterator[Service]:
    with stand_in() as running:
        yield running


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.url, timeout_s=5) as opened:
        yield opened
