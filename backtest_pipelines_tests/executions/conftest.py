"""A real Valkey, and the panel of an invented market, for the tests of this folder."""

from datetime import date
from pathlib import Path

import pytest

from backtest_pipelines.market.sample import write_sample_market
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines_tests.servers import own_valkey, valkey, valkey_process

__all__ = ["own_valkey", "valkey", "valkey_process"]


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market")
    write_sample_market(folder / "files", first=date(2024, 7, 1), last=date(2024, 8, 30))
    assert not ingest(exchange_files(folder / "files"), PanelStore(folder / "panel")).bad
    return folder / "panel"
