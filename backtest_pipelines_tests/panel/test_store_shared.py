"""A store that several threads and processes use at once, and its small files when they are damaged or gone."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest

from backtest_pipelines.errors import BadDataError
from backtest_pipelines.panel.ingest import ingest
from backtest_pipelines.panel.manifest import Manifest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.panel.symbol_panel import VIEWS_KEPT
from backtest_pipelines_tests.reference.chain import Chain, sep
from backtest_pipelines_tests.reference.exchange_files import write_legacy


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return [write_legacy(tmp_path, Chain().market(), sep(day)) for day in (2, 3, 6, 7)]


@pytest.fixture
def store(tmp_path: Path, files: list[Path]) -> PanelStore:
    store = PanelStore(tmp_path / "panel")
    calendar = tmp_path / "sessions.csv"
    calendar.write_text("date\n2021-09-02\n2021-09-03\n")
    ingest(files[:1], store, calendars=[calendar])
    return store


@pytest.fixture
def busy_switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("busy_switching")
def test_threads_may_ask_one_panel_for_more_views_than_it_keeps(store: PanelStore) -> None:
    panel = store.symbol("NIFTY")

    def asked(thread: int) -> set[str]:
        dates = (sep(2) + timedelta(days=(number * 7 + thread * 31) % (8 * VIEWS_KEPT)) for number in range(600))
        return {panel.view(None, to_date).digest for to_date in dates}

    with ThreadPoolExecutor(8) as pool:
        assert len(set.union(*pool.map(asked, range(8)))) == 1


def test_sources_are_read_again_where_two_ingests_ended_meanwhile(
    store: PanelStore, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = store.manifest()

    def stale_once() -> Manifest:
        monkeypatch.undo()
        for path in files[1:3]:
            ingest([path], PanelStore(store.folder))
        return stale

    monkeypatch.setattr(store, "manifest", stale_once)
    days = {(date(1970, 1, 1) + timedelta(days=day)) for _, day in store.sources()}
    assert days == {sep(2), sep(3), sep(6)}
    assert not (store.folder / str(stale.sources)).exists()


@pytest.mark.parametrize("kind", ["sources", "calendar"])
@pytest.mark.parametrize("content", [b"", b"[[", b"[]"])
def test_a_damaged_list_is_refused_by_name_and_nothing_is_ingested(
    store: PanelStore, files: list[Path], kind: str, content: bytes
) -> None:
    path = store.folder / str(getattr(store.manifest(), kind))
    path.write_bytes(content)
    before = {entry.name for entry in store.folder.iterdir()}
    with pytest.raises(BadDataError, match=f"{path.name}: is damaged; ingest again into a new home"):
        ingest(files, store)
    assert {entry.name for entry in store.folder.iterdir()} == before


def test_a_list_of_sources_that_is_gone_is_refused_by_name(store: PanelStore, files: list[Path]) -> None:
    name = str(store.manifest().sources)
    (store.folder / name).unlink()
    with pytest.raises(BadDataError, match=f"{name}: is gone from"):
        ingest(files, store)
