"""The panel store: immutable files and the one manifest that names those that count.

Replacing the manifest is the commit. A reader takes one manifest and sees one state; a writer that is killed leaves
the old state or the new.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from backtest_pipelines.atomic import write_atomic
from backtest_pipelines.errors import BadDataError, MissingDataError, UnavailableError
from backtest_pipelines.panel.calendar import Calendar
from backtest_pipelines.panel.manifest import MANIFEST_NAME, Manifest, Source, canonical_json
from backtest_pipelines.panel.symbol_panel import SymbolPanel
from backtest_pipelines.panel.symbol_tables import SymbolTables, read_tables, write_tables

LOCK_NAME = "ingest.lock"
LOCK_TIMEOUT_S = 120.0


class PanelStore:
    """The panels under one folder.

    Parameters
    ----------
    folder : Path
        Nothing is opened or created until it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = Lock()
        self._manifest_text = b""
        self._panels: dict[str, SymbolPanel] = {}

    def symbol(self, symbol: str) -> SymbolPanel:
        """Return a symbol's panel in the store's present state.

        Raises
        ------
        MissingDataError
            If nothing was ingested for it.
        BadDataError
            If a file of the store is damaged.
        """
        for attempt in range(3):
            text = self._read_manifest()
            with self._lock:
                if text != self._manifest_text:
                    self._manifest_text, self._panels = text, {}
                found = self._panels.get(symbol)
                if found is not None:
                    return found
            manifest = Manifest.from_bytes(text)
            if symbol not in manifest.symbols:
                raise MissingDataError(
                    f"symbol {symbol}: nothing was ingested into {self.folder}; "
                    "ingest the exchange's daily files first: backtest-pipelines ingest FOLDER"
                )
            try:
                panel = SymbolPanel(symbol, self.tables(manifest, symbol), self.calendar(manifest))
            except FileNotFoundError:
                if attempt == 2:
                    raise BadDataError(
                        str(self.folder), "files that the manifest names are gone; ingest again into a new home"
                    ) from None
                continue
            with self._lock:
                if text == self._manifest_text:
                    return self._panels.setdefault(symbol, panel)
            return panel
        raise AssertionError

    def manifest(self) -> Manifest:
        """Return the present manifest; an empty one where nothing was ingested."""
        return Manifest.from_bytes(self._read_manifest())

    def tables(self, manifest: Manifest, symbol: str) -> SymbolTables:
        """Map a symbol's tables.

        Raises
        ------
        BadDataError
            If a file is damaged.
        """
        try:
            return read_tables(self.folder, manifest.symbols[symbol])
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError) as error:
            raise BadDataError(
                str(self.folder), f"the panel of {symbol} is damaged: {error}; ingest again into a new home"
            ) from error

    def calendar(self, manifest: Manifest) -> Calendar:
        """Return the calendar that the manifest names, or an empty one."""
        if manifest.calendar is None:
            return Calendar()
        return Calendar.from_json(self._read_json(manifest.calendar))

    def sources(self, manifest: Manifest | None = None) -> dict[tuple[str, int], Source]:
        """Return the source of each (kind, session in days)."""
        named = manifest or self.manifest()
        if named.sources is None:
            return {}
        try:
            rows = self._read_json(named.sources)
        except FileNotFoundError:
            if named == self.manifest():
                raise BadDataError(named.sources, f"is gone from {self.folder}; ingest again into a new home") from None
            # Two ingests ended since the manifest was read.
            return self.sources()
        return {(kind, day): Source(*source) for kind, day, *source in rows}

    @contextmanager
    def writing(self) -> Iterator[Manifest]:
        """Hold the store's lock and give the manifest to start from.

        Raises
        ------
        UnavailableError
            If another ingest holds it for two minutes, or the folder cannot be written.
        BadDataError
            If a file that the manifest names turns out to be gone meanwhile.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self.folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UnavailableError(f"{self.folder}: cannot be written: {error}") from error
        try:
            _lock(descriptor, self.folder)
            yield self.manifest()
        except FileNotFoundError as error:
            # Nobody else removes files while the lock is held.
            raise BadDataError(
                str(self.folder), f"a file that the manifest names is gone: {error}; ingest again into a new home"
            ) from error
        finally:
            os.close(descriptor)

    def commit(
        self,
        before: Manifest,
        tables: Mapping[str, SymbolTables],
        sources: Mapping[tuple[str, int], Source],
        calendar: Calendar,
    ) -> Manifest:
        """Write the files of a new state, then its manifest. Call it while `writing`.

        Parameters
        ----------
        before : Manifest
            The state that was started from.
        tables : Mapping of symbol to SymbolTables
            Only the symbols that changed.
        sources, calendar
            In whole.
        """
        symbols = dict(before.symbols)
        for symbol, changed in tables.items():
            symbols[symbol] = write_tables(self.folder, symbol, changed)
        rows = [
            [kind, day, source.name, source.file_sha256, source.content_sha256]
            for (kind, day), source in sorted(sources.items())
        ]
        manifest = Manifest(
            symbols,
            self._write_json("calendar", calendar.to_json()) if calendar != Calendar() else None,
            self._write_json("sources", rows),
        )
        text = manifest.to_bytes()
        write_atomic(self.folder / MANIFEST_NAME, lambda file: file.write(text))
        # The state before this one keeps its files: a reader may be opening them.
        self.remove_unnamed(before.names() | manifest.names())
        return manifest

    def remove_unnamed(self, named: set[str]) -> None:
        """Remove all other files, those that a killed ingest left among them. Call it while `writing`."""
        for path in self.folder.iterdir():
            if path.name not in named | {MANIFEST_NAME, LOCK_NAME}:
                path.unlink(missing_ok=True)

    def _write_json(self, kind: str, content: object) -> str:
        text = canonical_json(content)
        name = f"{kind}-{_content_name(text)}.json"
        if not (self.folder / name).exists():
            write_atomic(self.folder / name, lambda file: file.write(text))
        return name

    def _read_json(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON holds
        text = (self.folder / name).read_bytes()
        if _content_name(text) not in name:
            raise BadDataError(str(self.folder / name), "is damaged; ingest again into a new home")
        return json.loads(text)

    def _read_manifest(self) -> bytes:
        try:
            return (self.folder / MANIFEST_NAME).read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise UnavailableError(f"{self.folder}: cannot be read: {error}") from error


def _content_name(text: bytes) -> str:
    return sha256(text).hexdigest()[:32]


def _lock(descriptor: int, folder: Path) -> None:
    end = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise UnavailableError(
                    f"{folder}: another ingest has held the lock for {LOCK_TIMEOUT_S:.0f} s"
                ) from None
            time.sleep(0.05)
        else:
            return
