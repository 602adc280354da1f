"""An ingest killed at any step leaves the old state or the new, and the next one tidies up."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from backtest_pipelines.panel.ingest import ingest
from backtest_pipelines.panel.manifest import MANIFEST_NAME
from backtest_pipelines.panel.store import LOCK_NAME, PanelStore
from backtest_pipelines.panel.symbol_tables import QUOTE_COLUMNS
from backtest_pipelines_tests.reference.chain import Chain, sep
from backtest_pipelines_tests.reference.exchange_files import write_index_closes, write_legacy

# Forks for n = 0, 1, 2 ... a child that dies at its n-th step, each in its own copy of the store, until one survives.
# A step is a flush, or the moment before or after a renaming or a removal. Nothing is flushed in truth, for speed: what
# a killed process has written stays.
KILLED_INGESTS = """
import json, os, shutil, signal, sys
from itertools import count
from pathlib import Path
from backtest_pipelines.panel.ingest import ingest
from backtest_pipelines.panel.store import PanelStore

old, copies, *files = map(Path, sys.argv[1:])

def die_at(last_step):
    steps = count()
    def step():
        if next(steps) == last_step:
            os.kill(os.getpid(), signal.SIGKILL)
    def counted(call):
        def counted_call(*arguments, **options):
            step()
            result = call(*arguments, **options)
            step()
            return result
        return counted_call
    os.fsync = lambda descriptor: step()
    Path.replace, Path.unlink = counted(Path.replace), counted(Path.unlink)

killed = []
for number in count():
    copy = copies / str(number)
    shutil.copytree(old, copy, copy_function=os.link)  # files are replaced or removed, never changed
    child = os.fork()
    if child == 0:
        try:
            die_at(number)
            ingest(files, PanelStore(copy))
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        killed.append(number)
        continue
    print(json.dumps({"killed": len(killed), "exit": os.waitstatus_to_exitcode(status)}))
    break
"""


def answers(folder: Path) -> tuple[object, ...]:
    """Return all that a reader can learn of NIFTY."""
    store = PanelStore(folder)
    nifty = store.symbol("NIFTY")
    view = nifty.view(None, None)
    quotes = tuple(getattr(view.quotes, name).tobytes() for name in QUOTE_COLUMNS)
    return view.digest, view.session.tobytes(), view.index_close_paise.tobytes(), quotes, store.sources()


def test_an_ingest_killed_at_any_step_leaves_the_old_state_or_the_new(tmp_path: Path) -> None:
    for name in ("files", "news", "copies"):
        (tmp_path / name).mkdir()
    market = Chain().market()
    old = PanelStore(tmp_path / "old")
    for day in (2, 3):  # two commits, so that files of an older state are there as well
        ingest([write_legacy(tmp_path / "files", market, sep(day))], old)
    chain = Chain({6: "17001.05"})
    chain.call(3, sep(16), 17000, close="123.45")
    news = [write_legacy(tmp_path / "news", chain.market(), sep(day)) for day in (3, 6)]
    news.append(write_index_closes(tmp_path / "news", chain.market(), sep(6)))
    new = PanelStore(tmp_path / "new")
    shutil.copytree(old.folder, new.folder)
    assert [outcome.status for outcome in ingest(news, new).files] == ["replaced", "added", "added"]
    before, after = answers(old.folder), answers(new.folder)
    assert before != after

    done = subprocess.run(
        # Newer interpreters warn of a fork while there are threads; those of the numerical library do no work here.
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            KILLED_INGESTS,
            str(old.folder),
            str(tmp_path / "copies"),
            *map(str, news),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stderr == ""
    outcome = json.loads(done.stdout)
    assert outcome["exit"] == 0
    file_count = len(new.manifest().names() - old.manifest().names()) + 1
    assert outcome["killed"] >= 4 * file_count  # for each: its flush, before and after its renaming, its folder's flush

    states = []
    allowed = old.manifest().names() | new.manifest().names() | {MANIFEST_NAME, LOCK_NAME}
    for number in range(outcome["killed"]):
        copy = tmp_path / "copies" / str(number)
        found = answers(copy)
        assert found in (before, after), f"killed at step {number}"
        states.append(found == after)
        report = ingest(news, PanelStore(copy))
        assert not report.bad
        assert answers(copy) == after, f"killed at step {number}"
        left = {path.name for path in copy.iterdir()}
        assert left <= allowed, f"killed at step {number}: {sorted(left - allowed)}"
        assert new.manifest().names() <= left
    assert states == sorted(states)  # the old state until the commit, the new one from then on
    assert {False, True} == set(states)


def test_what_a_killed_ingest_left_is_removed_by_an_ingest_of_nothing_new(tmp_path: Path) -> None:
    path = write_legacy(tmp_path, Chain().market(), sep(2))
    store = PanelStore(tmp_path / "panel")
    ingest([path], store)
    (store.folder / ".manifest.json.x1.tmp").write_bytes(b"half a manif")
    (store.folder / "NIFTY-1-0000-quotes.arrow").write_bytes(b"never named")
    assert [outcome.status for outcome in ingest([path], store).files] == ["unchanged"]
    assert {entry.name for entry in store.folder.iterdir()} == store.manifest().names() | {MANIFEST_NAME, LOCK_NAME}
