"""Ingest: a folder of any mix of the exchange's files into the panel store, again and again without harm."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import partial
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Literal, TypeAlias

import numpy as np

from backtest_pipelines.errors import BadDataError, MissingDataError
from backtest_pipelines.market.symbols import SYMBOLS
from backtest_pipelines.market.units import date_of
from backtest_pipelines.panel.calendar import Calendar, read_calendar
from backtest_pipelines.panel.formats import read_exchange_file
from backtest_pipelines.panel.keys import EXPIRY_MASK, MAX_STRIKE_PAISE
from backtest_pipelines.panel.manifest import Manifest, Source
from backtest_pipelines.panel.quotes import Bhavcopy, IndexCloses, Quotes
from backtest_pipelines.panel.rebuild import BhavcopyUpdate, SessionUpdate, quote_table, rebuild
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.panel.symbol_tables import MISSING_PAISE, SymbolTables

Kind: TypeAlias = Literal["bhavcopy", "index_closes"]
Status: TypeAlias = Literal["added", "replaced", "unchanged", "bad", "ignored"]

EXCHANGE_ENDINGS = (".csv", ".zip")

_INT32_MAX = int(np.iinfo(np.int32).max)


@dataclass(frozen=True, slots=True)
class FileOutcome:
    """What became of one file.

    Attributes
    ----------
    name : str
    status : {"added", "replaced", "unchanged", "bad", "ignored"}
        ``replaced``: the session was there with another content. ``ignored``: not by its ending a file of the
        exchange.
    kind : {"bhavcopy", "index_closes"} or None
    session : date or None
    reason : str
        For bad and ignored files: line and reason.
    """

    name: str
    status: Status
    kind: Kind | None = None
    session: date | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What an ingest did.

    Attributes
    ----------
    files : tuple of FileOutcome
        One for each file, in the order given.
    sessions_total, rows_total : Mapping of str to int
        By symbol, after the ingest.
    duration_s : float
    """

    files: tuple[FileOutcome, ...]
    sessions_total: Mapping[str, int]
    rows_total: Mapping[str, int]
    duration_s: float

    def with_status(self, status: Status) -> tuple[FileOutcome, ...]:
        """Return the files of one status."""
        return tuple(outcome for outcome in self.files if outcome.status == status)

    @property
    def added(self) -> tuple[FileOutcome, ...]:
        """Files of sessions that were not there."""
        return self.with_status("added")

    @property
    def bad(self) -> tuple[FileOutcome, ...]:
        """Files that were refused."""
        return self.with_status("bad")

    @property
    def ignored(self) -> tuple[FileOutcome, ...]:
        """Files that are no file of the exchange by their ending."""
        return self.with_status("ignored")


@dataclass(frozen=True, slots=True)
class _Read:
    """A file that was read, or is known by the digest of its bytes."""

    path: Path
    source: Source
    kind: Kind
    day: int
    content: Bhavcopy | IndexCloses | None


def exchange_files(folder: Path) -> list[Path]:
    """Return all files below a folder, sorted by path.

    Raises
    ------
    MissingDataError
        If the folder is not there or holds no file.
    """
    if not folder.is_dir():
        raise MissingDataError(f"folder {folder}: is not there; name the folder of the exchange's daily files")
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    if not found:
        raise MissingDataError(f"folder {folder}: holds no file; put the exchange's daily files into it")
    return found


def ingest(
    paths: Iterable[Path],
    store: PanelStore,
    *,
    calendars: Sequence[Path] = (),
    on_file: Callable[[int, int], None] | None = None,
) -> IngestReport:
    """Read files and commit what is good in them in one step.

    The same file twice is a no-op; a corrected file replaces its session; a bad file is reported and touches nothing
    else. Two files given together for one session with different contents are both refused.

    Parameters
    ----------
    paths : iterable of Path
    store : PanelStore
    calendars : sequence of Path, optional
        Calendars of sessions or expiries; each replaces the one of its kind (and symbol).
    on_file : callable, optional
        Called with (files done, files in all).

    Raises
    ------
    BadDataError
        If a calendar is wrong: nothing is ingested.
    UnavailableError
        If the store cannot be written: it keeps its old state.
    """
    start = perf_counter()
    calendar = Calendar()
    for path in calendars:
        calendar = calendar.updated(read_calendar(path))
    given = list(paths)
    known = {source.file_sha256: (key, source) for key, source in store.sources().items()}
    results: list[_Read | FileOutcome] = []
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        for done, result in enumerate(pool.map(partial(_read, known=known), given), start=1):
            results.append(result)
            if on_file:
                on_file(done, len(given))
    with store.writing() as before:
        sources = store.sources(before)
        results = _without_conflicts([_read_if_replaced(result, sources) for result in results])
        outcomes = _outcomes(results, sources)
        news = [
            result
            for result, outcome in zip(results, outcomes, strict=True)
            if isinstance(result, _Read) and outcome.status in ("added", "replaced")
        ]
        manifest = _commit(store, before, news, sources, store.calendar(before).updated(calendar))
        tables = {symbol: store.tables(manifest, symbol) for symbol in manifest.symbols}
    return IngestReport(
        tuple(outcomes),
        {symbol: int(table.sessions.has_bhavcopy.sum()) for symbol, table in tables.items()},
        {symbol: len(table.quotes.key) for symbol, table in tables.items()},
        perf_counter() - start,
    )


def _read(path: Path, known: Mapping[str, tuple[tuple[str, int], Source]]) -> _Read | FileOutcome:
    if path.suffix.lower() not in EXCHANGE_ENDINGS:
        return FileOutcome(path.name, "ignored", reason=f"ends in none of {', '.join(EXCHANGE_ENDINGS)}")
    try:
        digest = sha256(path.read_bytes()).hexdigest()
        if digest in known:
            (kind, day), source = known[digest]
            return _Read(path, source, "bhavcopy" if kind == "bhavcopy" else "index_closes", day, None)
        content = read_exchange_file(path)
        if isinstance(content, Bhavcopy):
            for symbol, quotes in content.quotes.items():
                _check_ranges(path.name, symbol, quotes)
    except BadDataError as error:
        where = "" if error.line is None else f"line {error.line}: "
        return FileOutcome(path.name, "bad", reason=f"{where}{error.reason}")
    except OSError as error:
        return FileOutcome(path.name, "bad", reason=f"cannot be read: {error.strerror or error}")
    kind_read: Kind = "bhavcopy" if isinstance(content, Bhavcopy) else "index_closes"
    return _Read(path, Source(path.name, digest, _content_digest(content)), kind_read, content.session, content)


def _read_if_replaced(result: _Read | FileOutcome, sources: Mapping[tuple[str, int], Source]) -> _Read | FileOutcome:
    """Read a file that was known after all, where another ingest has replaced its session meanwhile."""
    if isinstance(result, FileOutcome) or result.content is not None:
        return result
    present = sources.get((result.kind, result.day))
    is_there = present is not None and present.content_sha256 == result.source.content_sha256
    return result if is_there else _read(result.path, {})


def _check_ranges(name: str, symbol: str, quotes: Quotes) -> None:
    limits = {
        "close_paise": _INT32_MAX,
        "contracts": _INT32_MAX,
        "open_interest": _INT32_MAX,
        "strike_paise": MAX_STRIKE_PAISE,
        "expiry": EXPIRY_MASK,
    }
    for column, limit in limits.items():
        values = getattr(quotes, column)
        if values.size and values.max() > limit:
            raise BadDataError(name, f"{symbol}: {column} {values.max()} is above what can be stored, {limit}")


def _content_digest(content: Bhavcopy | IndexCloses) -> str:
    if isinstance(content, IndexCloses):
        return sha256(repr((content.session, sorted(content.close_paise.items()))).encode()).hexdigest()
    digest = sha256(repr((content.session, sorted(content.underlying_paise.items()))).encode())
    for symbol in sorted(content.quotes):
        digest.update(symbol.encode())
        for column in quote_table(content.session, content.quotes[symbol]).columns():
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def _without_conflicts(results: list[_Read | FileOutcome]) -> list[_Read | FileOutcome]:
    by_session: dict[tuple[str, int], list[_Read]] = {}
    for result in results:
        if isinstance(result, _Read):
            by_session.setdefault((result.kind, result.day), []).append(result)
    refused = {}
    for group in by_session.values():
        if len({result.source.content_sha256 for result in group}) > 1:
            for result in group:
                others = ", ".join(sorted(other.path.name for other in group if other is not result))
                refused[id(result)] = f"differs from {others} for the same session; keep the one that is right"
    return [
        FileOutcome(result.path.name, "bad", result.kind, date_of(result.day), refused[id(result)])
        if isinstance(result, _Read) and id(result) in refused
        else result
        for result in results
    ]


def _outcomes(results: Sequence[_Read | FileOutcome], sources: Mapping[tuple[str, int], Source]) -> list[FileOutcome]:
    outcomes = []
    seen: set[tuple[str, int]] = set()
    for result in results:
        if isinstance(result, FileOutcome):
            outcomes.append(result)
            continue
        key = (result.kind, result.day)
        before = sources.get(key)
        status: Status
        # Two files of one session that got as far as here are equal: the first one counts.
        if key in seen or (before and before.content_sha256 == result.source.content_sha256):
            status = "unchanged"
        else:
            status = "replaced" if before else "added"
        seen.add(key)
        outcomes.append(FileOutcome(result.path.name, status, result.kind, date_of(result.day)))
    return outcomes


def _commit(
    store: PanelStore,
    before: Manifest,
    news: Sequence[_Read],
    sources: dict[tuple[str, int], Source],
    calendar: Calendar,
) -> Manifest:
    if not news and calendar == store.calendar(before):
        store.remove_unnamed(before.names())
        return before
    updates: dict[str, dict[int, SessionUpdate]] = {symbol: {} for symbol in SYMBOLS}
    for result in news:
        sources[result.kind, result.day] = result.source
        for symbol, by_day in updates.items():
            update = _update(by_day.get(result.day, SessionUpdate()), result.content, symbol)
            if update is not None:
                by_day[result.day] = update
    changed: dict[str, SymbolTables] = {}
    for symbol, by_day in updates.items():
        if by_day:
            old = store.tables(before, symbol) if symbol in before.symbols else None
            changed[symbol] = rebuild(old, by_day)
    return store.commit(before, changed, sources, calendar)


def _update(update: SessionUpdate, content: Bhavcopy | IndexCloses | None, symbol: str) -> SessionUpdate | None:
    if isinstance(content, Bhavcopy):
        bhavcopy = BhavcopyUpdate(content.quotes.get(symbol), content.underlying_paise.get(symbol, MISSING_PAISE))
        return SessionUpdate(bhavcopy, update.index_close_paise)
    if isinstance(content, IndexCloses) and symbol in content.close_paise:
        return SessionUpdate(update.bhavcopy, content.close_paise[symbol])
    return None
