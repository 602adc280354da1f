"""An ingest takes what is good, names what is not, and can be done again in any order by anybody."""

import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import count
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from backtest_pipelines.errors import MissingDataError
from backtest_pipelines.panel.ingest import IngestReport, exchange_files, ingest
from backtest_pipelines.panel.manifest import MANIFEST_NAME
from backtest_pipelines.panel.store import LOCK_NAME, PanelStore
from backtest_pipelines_tests.reference.chain import SEP_30, Chain, sep
from backtest_pipelines_tests.reference.exchange_files import (
    names,
    write_index_closes,
    write_legacy,
    write_market,
    write_udiff,
)
from backtest_pipelines_tests.reference.random_market import random_market

INGEST_PROGRAM = """
import sys
from pathlib import Path
from backtest_pipelines.panel.ingest import ingest
from backtest_pipelines.panel.store import PanelStore
folder, *files = map(Path, sys.argv[1:])
report = ingest(files, PanelStore(folder), on_file=lambda done, total: done == total and print("read", flush=True))
print(len(report.added), len(report.bad))
"""


@pytest.fixture
def store(tmp_path: Path) -> PanelStore:
    return PanelStore(tmp_path / "panel")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def corrected(day: int, close: str = "123.45") -> Chain:
    """Return the market with another price of one call on a day."""
    chain = Chain()
    chain.call(day, sep(16), 17000, close=close)
    return chain


def statuses(report: IngestReport) -> list[str]:
    return [outcome.status for outcome in report.files]


def manifest_text(store: PanelStore) -> bytes:
    return (store.folder / MANIFEST_NAME).read_bytes()


def digest(store: PanelStore, day: int | None = None) -> str:
    """Return the digest of NIFTY, or of one of its sessions."""
    nifty = store.symbol("NIFTY")
    return nifty.digest if day is None else nifty.view(sep(day), sep(day)).digest


def close_paise(store: PanelStore, day: int) -> int:
    """Return the price of the call that `corrected` changes."""
    view = store.symbol("NIFTY").view(None, None)
    expiry = (sep(16) - date(1970, 1, 1)).days
    session = np.array([(sep(day) - date(1970, 1, 1)).days], np.int32)
    row = view.rows(1, session, np.array([expiry], np.int32), np.array([1_700_000]))[0]
    assert row != -1
    return int(view.quotes.close_paise[row])


def test_a_second_ingest_changes_no_byte(store: PanelStore, files: Path) -> None:
    write_market(files, Chain().market(), zipped=False)
    assert set(statuses(ingest(exchange_files(files), store))) == {"added"}
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}
    stamps = {path.name: path.stat().st_mtime_ns for path in store.folder.iterdir()}
    report = ingest(exchange_files(files), store)
    assert set(statuses(report)) == {"unchanged"}
    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before
    assert {path.name: path.stat().st_mtime_ns for path in store.folder.iterdir()} == stamps


def test_without_a_calendar_none_is_stored(store: PanelStore, files: Path) -> None:
    ingest([write_legacy(files, Chain().market(), sep(2))], store)
    assert store.manifest().calendar is None


def test_a_folder_of_mixed_files_is_taken_in_one_go(store: PanelStore, files: Path) -> None:
    market = Chain().market()
    write_legacy(files, market, sep(2), zipped=True)
    write_legacy(files, market, sep(3), zipped=False)
    write_udiff(files, market, sep(6), zipped=True)
    (files / "closes").mkdir()
    write_index_closes(files / "closes", market, sep(2))
    write_index_closes(files / "closes", market, sep(3), zipped=True)
    (files / "README.txt").write_text("not of the exchange")
    report = ingest(exchange_files(files), store)
    by_name = {outcome.name: outcome for outcome in report.files}
    assert by_name["README.txt"].status == "ignored"
    assert "ends in none of .csv, .zip" in by_name["README.txt"].reason
    assert {(outcome.kind, outcome.session) for outcome in report.added} == {
        ("bhavcopy", sep(2)),
        ("bhavcopy", sep(3)),
        ("bhavcopy", sep(6)),
        ("index_closes", sep(2)),
        ("index_closes", sep(3)),
    }
    assert report.sessions_total["NIFTY"] == 3
    assert report.rows_total["NIFTY"] == sum(quote.session <= sep(6) for quote in market.quotes)
    assert store.symbol("NIFTY").view(None, None).index_close_paise.tolist() == [1_700_000] * 3


def test_progress_is_told_for_every_file(store: PanelStore, files: Path) -> None:
    paths = write_market(files, Chain().market())
    told: list[tuple[int, int]] = []
    ingest(paths, store, on_file=lambda done, total: told.append((done, total)))
    assert told == [(number, len(paths)) for number in range(1, len(paths) + 1)]


def test_a_folder_that_is_absent_or_empty_is_named(files: Path) -> None:
    with pytest.raises(MissingDataError, match="files: holds no file"):
        exchange_files(files)
    with pytest.raises(MissingDataError, match="nowhere: is not there"):
        exchange_files(files / "nowhere")


def test_the_same_file_given_twice_counts_once(store: PanelStore, files: Path) -> None:
    path = write_legacy(files, Chain().market(), sep(2))
    assert statuses(ingest([path, path], store)) == ["added", "unchanged"]
    assert store.symbol("NIFTY").session_count == 1


@pytest.mark.parametrize("day", [2, 7, 10])
def test_a_corrected_file_replaces_its_session_and_only_it(store: PanelStore, files: Path, day: int) -> None:
    for session in (2, 3, 6, 7, 8, 9, 10):
        write_legacy(files, Chain().market(), sep(session))
    ingest(exchange_files(files), store)
    before = {session: digest(store, session) for session in (2, 3, 6, 7, 8, 9, 10)}
    (outcome,) = ingest([write_legacy(files, corrected(day).market(), sep(day))], store).files
    assert (outcome.status, outcome.session) == ("replaced", sep(day))
    assert close_paise(store, day) == 12_345
    assert {session for session, digest_before in before.items() if digest(store, session) != digest_before} == {day}


def test_a_corrected_file_may_list_more_or_fewer_contracts(store: PanelStore, files: Path) -> None:
    ingest([write_legacy(files, Chain().market(), sep(day)) for day in (2, 3, 6)], store)
    rows = store.symbol("NIFTY").row_count
    chain = Chain()
    chain.drop(3, "FUT", SEP_30)
    chain.drop(3, "CE", sep(16), 17000)
    ingest([write_legacy(files, chain.market(), sep(3))], store)
    assert store.symbol("NIFTY").row_count == rows - 2
    chain.add(sep(3), "PE", sep(16), 17000, "80.00")
    ingest([write_legacy(files, chain.market(), sep(3))], store)
    assert store.symbol("NIFTY").row_count == rows - 1
    assert close_paise(store, 6) == 10_000


def test_the_first_file_again_undoes_a_correction(store: PanelStore, files: Path) -> None:
    first = ingest([write_legacy(files, Chain().market(), sep(2))], store)
    digest_first = digest(store)
    wrong = ingest([write_legacy(files, corrected(2).market(), sep(2))], store)
    again = ingest([write_legacy(files, Chain().market(), sep(2))], store)
    assert [*statuses(first), *statuses(wrong), *statuses(again)] == ["added", "replaced", "replaced"]
    assert digest(store) == digest_first


def test_two_differing_files_of_one_session_are_both_refused(store: PanelStore, files: Path) -> None:
    zipped = write_legacy(files, Chain().market(), sep(2), zipped=True)
    plain = write_legacy(files, corrected(2).market(), sep(2), zipped=False)
    other = write_legacy(files, Chain().market(), sep(3))
    report = ingest([zipped, plain, other], store)
    assert statuses(report) == ["bad", "bad", "added"]
    assert plain.name in report.files[0].reason
    assert zipped.name in report.files[1].reason
    assert {outcome.session for outcome in report.bad} == {sep(2)}
    assert store.symbol("NIFTY").first_session == sep(3)


def test_a_conflict_leaves_the_session_that_was_there(store: PanelStore, files: Path) -> None:
    zipped = write_legacy(files, Chain().market(), sep(2), zipped=True)
    ingest([zipped], store)
    before = manifest_text(store)
    plain = write_legacy(files, corrected(2).market(), sep(2), zipped=False)
    assert statuses(ingest([zipped, plain], store)) == ["bad", "bad"]
    assert manifest_text(store) == before


def test_two_forms_of_one_session_with_equal_content_are_no_conflict(store: PanelStore, files: Path) -> None:
    market = Chain().market()
    paths = [write_legacy(files, market, sep(2), zipped=zipped) for zipped in (True, False)]
    assert statuses(ingest(paths, store)) == ["added", "unchanged"]


def test_a_bad_file_is_reported_with_line_and_reason_and_leaves_the_rest(store: PanelStore, files: Path) -> None:
    market = Chain().market()
    good = [write_legacy(files, market, sep(day)) for day in (2, 3)]
    bad = write_legacy(files, market, sep(6), zipped=False)
    lines = bad.read_text().splitlines()
    fields = lines[2].split(",")
    fields[8] = "12.x5"
    bad.write_text("\n".join([*lines[:2], ",".join(fields), *lines[3:]]) + "\n")
    cut = files / f"{names(sep(7)).legacy}.zip"
    cut.write_bytes(good[0].read_bytes()[:200])
    report = ingest([good[0], bad, cut, good[1]], store)
    assert statuses(report) == ["added", "bad", "bad", "added"]
    assert report.files[1].name == bad.name
    assert report.files[1].reason.startswith("line 3: ")
    assert "12.x5" in report.files[1].reason
    assert report.files[2].name == cut.name
    assert report.files[2].reason
    alone = PanelStore(store.folder.parent / "alone")
    ingest(good, alone)
    assert digest(store) == digest(alone)


def test_a_bad_correction_leaves_the_session_that_was_there(store: PanelStore, files: Path) -> None:
    path = write_legacy(files, Chain().market(), sep(2), zipped=False)
    ingest([path], store)
    before = manifest_text(store)
    path.write_text(path.read_text()[:-400])
    assert statuses(ingest([path], store)) == ["bad"]
    assert manifest_text(store) == before


def test_a_file_that_is_gone_before_it_is_read_is_reported(store: PanelStore, files: Path) -> None:
    good = write_legacy(files, Chain().market(), sep(2))
    report = ingest([files / "gone.csv", good], store)
    assert statuses(report) == ["bad", "added"]
    assert "No such file" in report.files[0].reason


@pytest.mark.parametrize("ending", [".txt", ".pdf", ".csv.part", ""])
def test_other_endings_are_ignored_whatever_the_content(store: PanelStore, files: Path, ending: str) -> None:
    path = write_legacy(files, Chain().market(), sep(2), zipped=False)
    report = ingest([path.rename(files / f"file{ending}")], store)
    assert statuses(report) == ["ignored"]
    with pytest.raises(MissingDataError):
        store.symbol("NIFTY")


def test_endings_may_be_in_capitals(store: PanelStore, files: Path) -> None:
    path = write_legacy(files, Chain().market(), sep(2), zipped=False)
    assert statuses(ingest([path.rename(path.with_suffix(".CSV"))], store)) == ["added"]


def test_an_unzipped_file_is_unchanged(store: PanelStore, files: Path) -> None:
    path = write_legacy(files, Chain().market(), sep(2), zipped=True)
    ingest([path], store)
    before = manifest_text(store)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(files)
    path.unlink()
    assert statuses(ingest(exchange_files(files), store)) == ["unchanged"]
    assert manifest_text(store) == before


def test_index_closes_may_come_before_or_after_the_bhavcopy(tmp_path: Path, files: Path) -> None:
    market = Chain({2: "17001.05", 3: "17002.10"}).market()
    bhavcopies = [write_legacy(files, market, sep(day)) for day in (2, 3)]
    closes = [write_index_closes(files, market, sep(day)) for day in (2, 3)]
    digests = set()
    for number, parts in enumerate([[bhavcopies, closes], [closes, bhavcopies], [bhavcopies + closes]]):
        store = PanelStore(tmp_path / f"panel{number}")
        for part in parts:
            ingest(part, store)
        view = store.symbol("NIFTY").view(None, None)
        assert view.index_close_paise.tolist() == [1_700_105, 1_700_210]
        digests.add((digest(store), view.digest))
    assert len(digests) == 1


def test_any_order_one_by_one_or_at_once_gives_the_same_panel(tmp_path: Path, files: Path) -> None:
    market = random_market(7, session_count=14)
    paths = write_market(files, market)
    number = count()

    def panel(parts: Iterator[list[Path]]) -> tuple[bytes, dict[str, str]]:
        store = PanelStore(tmp_path / f"panel{next(number)}")
        for part in parts:
            assert set(statuses(ingest(part, store))) == {"added"}
        return manifest_text(store), {symbol: store.symbol(symbol).digest for symbol in market.symbols()}

    at_once = panel(iter([paths]))
    assert panel(iter([paths[::-1]])) == at_once
    assert panel([path] for path in paths) == at_once
    shuffled = random.Random(5).sample(paths, len(paths))
    assert panel(shuffled[start : start + 4] for start in range(0, len(shuffled), 4)) == at_once


def test_two_processes_that_ingest_at_once_both_land(store: PanelStore, files: Path) -> None:
    market = Chain().market()
    days = [2, 3, 6, 7, 8, 9, 10, 13]
    paths = [write_legacy(files, market, sep(day)) for day in days]
    with store.writing():  # until both have read their files and seen the empty store
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", INGEST_PROGRAM, str(store.folder), *map(str, part)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for part in (paths[::2], paths[1::2])
        ]
        for process in processes:
            assert process.stdout
            assert process.stdout.readline() == "read\n"
    assert [process.communicate(timeout=60)[0] for process in processes] == ["4 0\n", "4 0\n"]
    at_once = PanelStore(store.folder.parent / "at_once")
    ingest(paths, at_once)
    assert digest(store) == digest(at_once)
    assert manifest_text(store) == manifest_text(at_once)


def test_a_session_replaced_by_another_ingest_meanwhile_is_judged_anew(store: PanelStore, files: Path) -> None:
    zipped = write_legacy(files, Chain().market(), sep(2), zipped=True)
    plain = write_legacy(files, corrected(2).market(), sep(2), zipped=False)
    ingest([zipped], store)
    digest_first = digest(store)

    def replace_it(_done: int, _total: int) -> None:
        assert statuses(ingest([plain], PanelStore(store.folder))) == ["replaced"]
        assert digest(store) != digest_first

    assert statuses(ingest([zipped], store, on_file=replace_it)) == ["replaced"]
    assert digest(store) == digest_first


def test_a_reader_during_ingests_sees_whole_states_only(store: PanelStore, files: Path) -> None:
    market = Chain().market()
    days = [2, 3, 6, 7, 8, 9, 10, 13]
    paths = [write_legacy(files, market, sep(day)) for day in days]
    ingest(paths[:1], store)
    states = [digest(store)]
    is_over = Event()
    row_count = {sep(day): sum(quote.session <= sep(day) for quote in market.quotes) for day in days}

    def read_on() -> list[str]:
        seen = []
        reader = PanelStore(store.folder)
        while True:
            is_last = is_over.is_set()
            nifty = reader.symbol("NIFTY")
            assert nifty.row_count == row_count[nifty.last_session]
            assert int(nifty.tables.quotes.close_paise.min()) == 10_000
            assert PanelStore(store.folder).symbol("NIFTY").row_count >= nifty.row_count
            seen.append(nifty.view(None, None).digest)
            if is_last:
                return seen

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read_on) for _ in range(2)]
        try:
            for path in paths[1:]:
                ingest([path], store)
                states.append(digest(store))
        finally:
            is_over.set()
        for reader in readers:
            seen = list(dict.fromkeys(reader.result(timeout=60)))
            assert seen == [state for state in states if state in seen]
            assert seen[-1] == states[-1]


def test_files_of_the_state_before_are_kept_and_older_ones_removed(store: PanelStore, files: Path) -> None:
    market = Chain().market()
    named = []
    for day in (2, 3, 6, 7):
        ingest([write_legacy(files, market, sep(day))], store)
        named.append(store.manifest().names())
    on_disk = {path.name for path in store.folder.iterdir()}
    assert on_disk == named[-1] | named[-2] | {MANIFEST_NAME, LOCK_NAME}
    assert not (named[0] | named[1]) & on_disk


def test_a_view_in_use_outlives_the_removal_of_its_files(store: PanelStore, files: Path) -> None:
    market = Chain().market()
    ingest([write_legacy(files, market, sep(2))], store)
    view = store.symbol("NIFTY").view(None, None)
    before = view.quotes.close_paise.tolist()
    for day in (3, 6, 7):
        ingest([write_legacy(files, market, sep(day))], store)
    assert view.quotes.close_paise.tolist() == before
    assert store.symbol("NIFTY").session_count == 4
