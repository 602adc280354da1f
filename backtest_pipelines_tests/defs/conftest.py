"""A small ingested market, a real Valkey, an ephemeral instance and the code location."""

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg
import pytest

from backtest_pipelines.definitions import defs
from backtest_pipelines.market.sample import write_sample_market
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines_tests.servers import PATIENT, ValkeyServer, own_valkey, valkey, valkey_process

__all__ = ["own_valkey", "valkey", "valkey_process"]


@pytest.fixture(scope="session")
def sample_inbox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample files of May and half of June 2024."""
    folder = tmp_path_factory.mktemp("sample") / "inbox"
    write_sample_market(folder, first=date(2024, 5, 1), last=date(2024, 6, 14))
    return folder


@pytest.fixture(scope="session")
def ingested_home(tmp_path_factory: pytest.TempPathFactory, sample_inbox: Path) -> Path:
    home = tmp_path_factory.mktemp("ingested")
    ingest(exchange_files(sample_inbox), PanelStore(home / "panel"))
    return home


@pytest.fixture
def home(tmp_path: Path, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and inbox, named by the environment."""
    folder = tmp_path / "home"
    monkeypatch.setenv("BACKTEST_HOME", str(folder))
    monkeypatch.setenv("REDIS_URL", f"unix://{valkey.socket}?db=0")
    for name, text in PATIENT.items():
        monkeypatch.setenv(name, text)
    return folder


@pytest.fixture
def market_home(home: Path, ingested_home: Path) -> Path:
    """A home that holds the sample's panels."""
    shutil.copytree(ingested_home, home)
    return home


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture(scope="session")
def location() -> dg.Definitions:
    return defs()
