"""An API that answers questions at once: with a market and a real Valkey, and without Dagster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines_tests.api.processes import Api, api
from backtest_pipelines_tests.integration.dagster_servers import write_small_market
from backtest_pipelines_tests.ports import free_port
from backtest_pipelines_tests.servers import PATIENT, ValkeyServer


@dataclass(frozen=True)
class Answering:
    """The API and its Valkey."""

    api: Api
    valkey: ValkeyServer


@contextmanager
def answering(home: Path) -> Iterator[Answering]:
    """Run both on a home."""
    write_small_market(home / "market")
    ingest(exchange_files(home / "market"), PanelStore(home / "panel"))
    with ValkeyServer() as valkey:
        environ = {**PATIENT, "REDIS_URL": f"unix://{valkey.start().socket}"}
        with api(home, f"http://127.0.0.1:{free_port()}", environ=environ) as running:
            yield Answering(running, valkey)
