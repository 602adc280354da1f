"""The store says what it lacks, names what is damaged, and gives one state to everybody."""

import json
import threading
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from backtest_pipelines.errors import BadDataError, MissingDataError, UnavailableError
from backtest_pipelines.panel import store as panel_store
from backtest_pipelines.panel.ingest import ingest
from backtest_pipelines.panel.manifest import MANIFEST_NAME
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.panel.symbol_panel import VIEWS_KEPT
from backtest_pipelines_tests.comparison import ingested
from backtest_pipelines_tests.reference.chain import Chain, sep
from backtest_pipelines_tests.reference.exchange_files import write_index_closes, write_legacy
from backtest_pipelines_tests.reference.market import Market


@pytest.fixture
def store(tmp_path: Path) -> PanelStore:
    """A store with the whole small market, 2 to 23 September 2021."""
    return ingested(tmp_path, Chain().market())


def again(store: PanelStore) -> PanelStore:
    """Return a store that has read nothing yet."""
    return PanelStore(store.folder)


def test_a_store_without_a_folder_has_nothing_and_creates_nothing(tmp_path: Path) -> None:
    store = PanelStore(tmp_path / "panel")
    with pytest.raises(MissingDataError, match=r"symbol NIFTY: nothing was ingested into .*panel; ingest the exchange"):
        store.symbol("NIFTY")
    assert store.manifest().names() == set()
    assert store.sources() == {}
    assert not store.folder.exists()


def test_an_unknown_symbol_is_missing(store: PanelStore) -> None:
    with pytest.raises(MissingDataError, match="symbol SENSEX: nothing was ingested"):
        store.symbol("SENSEX")


@pytest.mark.parametrize(
    ("from_date", "to_date", "asked"),
    [
        (date(2022, 1, 1), None, "from 2022-01-01 to the end"),
        (None, date(2021, 9, 1), "from the beginning to 2021-09-01"),
        (sep(4), sep(5), "from 2021-09-04 to 2021-09-05"),
        (sep(8), sep(7), "from 2021-09-08 to 2021-09-07"),
    ],
)
def test_dates_without_a_session_are_named_with_what_there_is(
    store: PanelStore, from_date: date | None, to_date: date | None, asked: str
) -> None:
    with pytest.raises(MissingDataError) as missing:
        store.symbol("NIFTY").view(from_date, to_date)
    assert f"symbol NIFTY: no session {asked}; the panel holds 2021-09-02 to 2021-09-23" in str(missing.value)


def test_a_panel_tells_its_extent(store: PanelStore) -> None:
    nifty = store.symbol("NIFTY")
    market = Chain().market()
    assert (nifty.first_session, nifty.last_session) == (sep(2), sep(23))
    assert nifty.session_count == len(market.sessions())
    assert nifty.row_count == len(market.quotes)


def test_a_symbol_without_a_row_in_any_bhavcopy_has_sessions_but_no_expiries(store: PanelStore) -> None:
    bank = store.symbol("BANKNIFTY")
    assert bank.row_count == 0
    view = bank.view(None, None)
    assert view.session.tolist() == store.symbol("NIFTY").view(None, None).session.tolist()
    assert set(view.index_close_paise.tolist()) == {-1}
    assert view.expiries.size == view.monthly_expiries.size == 0


def test_index_closes_alone_are_no_session(tmp_path: Path) -> None:
    store = PanelStore(tmp_path / "panel")
    ingest([write_index_closes(tmp_path, Chain().market(), sep(2))], store)
    nifty = store.symbol("NIFTY")
    assert nifty.session_count == nifty.row_count == 0
    with pytest.raises(MissingDataError, match="NIFTY: index closes but no bhavcopy is in the panel"):
        _ = nifty.first_session
    with pytest.raises(MissingDataError, match="the panel holds none"):
        nifty.view(None, None)
    with pytest.raises(MissingDataError, match="symbol BANKNIFTY: nothing was ingested"):
        store.symbol("BANKNIFTY")


@pytest.mark.parametrize("text", [b"{", b"[]", b"{}", b'{"format": 1}', b'"text"', b"\xff\xfe", b"null"])
def test_a_damaged_manifest_is_named(store: PanelStore, text: bytes) -> None:
    (store.folder / MANIFEST_NAME).write_bytes(text)
    for ask in (lambda: store.symbol("NIFTY"), lambda: again(store).symbol("NIFTY"), again(store).sources):
        with pytest.raises(BadDataError, match=r"manifest\.json: is damaged.*ingest again into a new home"):
            ask()


def test_the_format_of_a_later_version_is_refused(store: PanelStore) -> None:
    path = store.folder / MANIFEST_NAME
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps({**content, "format": 2, "partitions": {}}))
    with pytest.raises(BadDataError, match=r"manifest\.json: format: got 2; this version reads 1"):
        store.symbol("NIFTY")
    before = {entry.name for entry in store.folder.iterdir()}
    with pytest.raises(BadDataError, match="format: got 2"):
        ingest([], store)
    assert {entry.name for entry in store.folder.iterdir()} == before


def cut_to_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def overwrite(path: Path) -> None:
    path.write_bytes(b"\x00" * path.stat().st_size)


DAMAGES = [cut_to_half, empty, overwrite]


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("table", ["quotes", "futures", "chains", "ladders", "sessions"])
def test_a_damaged_table_is_named(store: PanelStore, table: str, damage: Callable[[Path], None]) -> None:
    name = store.manifest().symbols["NIFTY"][table]
    damage(store.folder / name)
    with pytest.raises(BadDataError, match="the panel of NIFTY is damaged") as refused:
        again(store).symbol("NIFTY")
    assert name in str(refused.value)
    assert again(store).symbol("BANKNIFTY").row_count == 0


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_calendar_is_named(store: PanelStore, tmp_path: Path, damage: Callable[[Path], None]) -> None:
    (tmp_path / "sessions.csv").write_text("date\n2021-09-03\n")
    ingest([], store, calendars=[tmp_path / "sessions.csv"])
    name = store.manifest().calendar
    assert name
    damage(store.folder / name)
    with pytest.raises(BadDataError, match=name):
        again(store).symbol("NIFTY")


def test_a_table_that_is_gone_is_told_and_not_waited_for(store: PanelStore) -> None:
    (store.folder / store.manifest().symbols["NIFTY"]["chains"]).unlink()
    with pytest.raises(BadDataError, match="files that the manifest names are gone; ingest again into a new home"):
        again(store).symbol("NIFTY")


def test_an_ingest_into_a_damaged_panel_is_refused_in_words(store: PanelStore, tmp_path: Path) -> None:
    path = write_legacy(tmp_path, Chain({2: "1"}).market(), sep(2))
    (store.folder / store.manifest().symbols["NIFTY"]["quotes"]).unlink()
    with pytest.raises(BadDataError, match="ingest again into a new home"):
        ingest([path], store)


def test_an_ingest_waits_for_the_lock(store: PanelStore, tmp_path: Path) -> None:
    chain = Chain()
    chain.call(2, sep(9), 17000, close="99.95")
    path = write_legacy(tmp_path, chain.market(), sep(2))
    before = store.symbol("NIFTY").digest
    is_read = threading.Event()
    work = threading.Thread(target=lambda: ingest([path], again(store), on_file=lambda *_: is_read.set()))
    with store.writing():
        work.start()
        assert is_read.wait(30)
        work.join(0.3)
        assert work.is_alive()
        assert store.symbol("NIFTY").digest == before  # readers need no lock
    work.join(30)
    assert not work.is_alive()
    assert store.symbol("NIFTY").digest != before


def test_a_lock_that_is_never_released_is_told(store: PanelStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(panel_store, "LOCK_TIMEOUT_S", 0.2)
    with store.writing(), pytest.raises(UnavailableError, match="another ingest has held the lock"):
        ingest([], again(store))


def test_the_lock_is_released_after_an_error(store: PanelStore) -> None:
    with pytest.raises(RuntimeError, match="in the middle"), store.writing():
        raise RuntimeError("in the middle")
    assert ingest([], store).files == ()


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "panel").write_text("a file where the folder should be")
    path = write_legacy(tmp_path, Chain().market(), sep(2))
    with pytest.raises(UnavailableError, match="panel: cannot be"):
        ingest([path], PanelStore(tmp_path / "panel"))


def test_a_store_sees_what_another_has_committed(store: PanelStore, tmp_path: Path) -> None:
    old = store.symbol("NIFTY")
    assert store.symbol("NIFTY") is old
    chain = Chain()
    chain.call(2, sep(9), 17000, close="99.95")
    ingest([write_legacy(tmp_path, chain.market(), sep(2))], again(store))
    new = store.symbol("NIFTY")
    assert new.digest != old.digest
    assert old.view(None, None).digest != new.view(None, None).digest


def test_views_of_equal_dates_are_shared_and_their_number_is_bounded(store: PanelStore) -> None:
    nifty = store.symbol("NIFTY")
    assert nifty.view(sep(2), None) is nifty.view(sep(2), None)
    assert nifty.view(sep(2), None) is not nifty.view(None, None)
    for year in range(1800, 1800 + 2 * VIEWS_KEPT):
        nifty.view(date(year, 1, 1), None)
    assert len(nifty._views) == VIEWS_KEPT


def test_sources_name_the_file_of_each_session(tmp_path: Path) -> None:
    store = ingested(tmp_path, Market(Chain().market().quotes, []), zipped=True)
    sources = store.sources()
    assert len(sources) == len(Chain().market().sessions())
    assert {source.name for (kind, day), source in sources.items() if day == (sep(2) - date(1970, 1, 1)).days} == {
        "fo02SEP2021bhav.csv.zip"
    }
    assert {kind for kind, _ in sources} == {"bhavcopy"}
