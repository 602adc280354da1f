"""The manifest: which of the store's immutable files count. It is read and replaced as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from backtest_pipelines.errors import BadDataError

FORMAT = 1
MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Source:
    """The file that a session came from: its name, the SHA-256 of its bytes and of what was read out of it."""

    name: str
    file_sha256: str
    content_sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The names of the files that count: by symbol and table, of the calendar and of the list of sources."""

    symbols: Mapping[str, dict[str, str]] = field(default_factory=dict)
    calendar: str | None = None
    sources: str | None = None

    def names(self) -> set[str]:
        """Return every file named."""
        files = {name for tables in self.symbols.values() for name in tables.values()}
        return files | {name for name in (self.calendar, self.sources) if name}

    def to_bytes(self) -> bytes:
        """Return the content of the file; the same for equal manifests."""
        return canonical_json(
            {"format": FORMAT, "symbols": self.symbols, "calendar": self.calendar, "sources": self.sources}
        )

    @staticmethod
    def from_bytes(text: bytes) -> Manifest:
        """Return the manifest that a file holds; an empty one for no bytes.

        Raises
        ------
        BadDataError
            If it is damaged, or of another version.
        """
        if not text:
            return Manifest()
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise BadDataError(
                    MANIFEST_NAME,
                    f"format: got {content['format']}; this version reads {FORMAT}; ingest into a new home",
                )
            return Manifest(content["symbols"], content["calendar"], content["sources"])
        except (ValueError, KeyError, TypeError) as error:
            raise BadDataError(MANIFEST_NAME, f"is damaged: {error}; ingest again into a new home") from error


def canonical_json(content: object) -> bytes:
    """Return the one form in which the store writes JSON."""
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()
