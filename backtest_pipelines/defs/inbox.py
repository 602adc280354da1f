"""Which files of the inbox deserve a run: a pure decision, apart from the disk and from Dagster."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from backtest_pipelines.errors import BadDataError

QUIET_S = 2.0
"""A file that changed less than this ago may still be being written."""


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file of the inbox, as found.

    Attributes
    ----------
    name : str
        Path below the inbox.
    signature : str
        Changes when the file does.
    changed_at : float
        Seconds since 1970-01-01 UTC.
    """

    name: str
    signature: str
    changed_at: float


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sessions that one run ingests: neighbours in the order of the partitions.

    Attributes
    ----------
    first, last : str
        ISO dates.
    key : str
        The same for the same sessions and files, so that no run is requested twice.
    """

    first: str
    last: str
    key: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What the sensor does.

    Attributes
    ----------
    new_sessions : tuple of str
        Partitions to add, ascending.
    stretches : tuple of Stretch
        One run each.
    bad : Mapping of str to str
        Name of a file to what is wrong with it; it is left alone until it changes.
    waiting : tuple of str
        Names of files that are not quiet yet.
    cursor : str
    """

    new_sessions: tuple[str, ...]
    stretches: tuple[Stretch, ...]
    bad: Mapping[str, str]
    waiting: tuple[str, ...]
    cursor: str


def look(inbox: Path, files: Iterable[Path]) -> list[SeenFile]:
    """Return what is known of the files without opening them. One that vanished meanwhile is left out."""
    seen = []
    for path in files:
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        signature = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ino}"
        # A copy may carry an old time of modification while it is written; the time of change cannot be set.
        changed_at = max(status.st_mtime, status.st_ctime)
        seen.append(SeenFile(path.relative_to(inbox).as_posix(), signature, changed_at))
    return seen


def decide(
    files: Sequence[SeenFile],
    cursor: str | None,
    known_sessions: Sequence[str],
    now: float,
    session_of: Callable[[str], date],
) -> Decision:
    """Decide which sessions are ingested.

    Parameters
    ----------
    files : sequence of SeenFile
        All files of the inbox.
    cursor : str or None
        That of the decision before: JSON of the name of each file that was dealt with to its signature.
    known_sessions : sequence of str
        The partitions, in their order.
    now : float
        Seconds since 1970-01-01 UTC.
    session_of : callable
        Name of a file to its session; raises `BadDataError`. Called for new and changed files alone.
    """
    before: dict[str, str] = json.loads(cursor) if cursor else {}
    after: dict[str, str] = {}
    bad: dict[str, str] = {}
    waiting: list[str] = []
    by_session: dict[str, list[SeenFile]] = {}
    for file in files:
        if before.get(file.name) == file.signature:
            after[file.name] = file.signature
            continue
        if now - file.changed_at < QUIET_S:
            waiting.append(file.name)
            continue
        after[file.name] = file.signature
        try:
            by_session.setdefault(session_of(file.name).isoformat(), []).append(file)
        except BadDataError as error:
            bad[file.name] = str(error)
    new_sessions = sorted(by_session.keys() - set(known_sessions))
    return Decision(
        new_sessions=tuple(new_sessions),
        stretches=tuple(_stretches([*known_sessions, *new_sessions], by_session)),
        bad=bad,
        waiting=tuple(waiting),
        cursor=json.dumps(after, sort_keys=True),
    )


def _stretches(order: Sequence[str], by_session: Mapping[str, Sequence[SeenFile]]) -> Iterable[Stretch]:
    for is_wanted, group in groupby(order, key=by_session.__contains__):
        if is_wanted:
            sessions = list(group)
            files = sorted(f"{file.name}={file.signature}" for session in sessions for file in by_session[session])
            yield Stretch(sessions[0], sessions[-1], key=_digest([*sessions, *files]))


def _digest(parts: Sequence[str]) -> str:
    return sha256(json.dumps(parts).encode()).hexdigest()
