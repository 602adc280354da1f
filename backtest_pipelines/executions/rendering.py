"""An answer as JSON, made once and kept beside it: what the REST API sends."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from backtest_pipelines.executions.answering import Named, answer
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.codec import CorruptAnswerError, decode
from backtest_pipelines.results.exports import records
from backtest_pipelines.results.store import Place, Tier

KIND: Final = "json"
_ROW_COUNT_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer as JSON.

    Attributes
    ----------
    json : bytes
        ``data``: the trades, one object each. ``metadata``: the statistics, ``notices``, ``provenance``.
    row_count : int
        Number of trades.
    tier : {"redis", "file"} or None
        Where the answer was found; None where it was computed.
    computed : Answer or None
        The answer, where it was computed.
    """

    json: bytes
    row_count: int
    tier: Tier | None
    computed: Answer | None = None


def kept_renderings(places: Sequence[Place], workspace: Workspace) -> dict[Place, Rendered]:
    """Return the valid answers whose JSON is kept, for one question to Redis.

    Raises
    ------
    UnavailableError
        If it is not known what was invalidated.
    """
    found = workspace.answers.look_up_renderings(places, KIND)
    return {place: _unpacked(packed) for place, packed in zip(places, found, strict=True) if packed is not None}


def made_of_kept_answer(place: Place, workspace: Workspace) -> Rendered | None:
    """Return a valid answer that is kept, but not as JSON; None where it must be computed.

    Raises
    ------
    UnavailableError
        If its file cannot be read, or it is not known what was invalidated.
    """
    found = workspace.answers.look_up(*place)
    return None if found is None else _made(place, workspace, decode(found.bytes), found.tier, found.kept_s)


def rendered(named: Named, workspace: Workspace, *, use_cache: bool) -> Rendered:
    """Return an answer as JSON: found, or else computed and kept.

    Raises
    ------
    UnavailableError
        If a file cannot be read or written.
    """
    if use_cache and (kept := kept_renderings([named.place], workspace)):
        return kept[named.place]
    given = answer(named, workspace, use_cache=use_cache)
    return _made(named.place, workspace, decode(given.bytes), given.tier, given.kept_s)


def rendered_once_given(fingerprint: str, variant: str, symbol: str, workspace: Workspace) -> Rendered | None:
    """Return an answer that was given before, invalidated since or not; None where it is not kept any more.

    Raises
    ------
    UnavailableError
        If its file cannot be read.
    """
    place = (fingerprint, variant, symbol)
    if kept := kept_renderings([place], workspace):
        return kept[place]
    try:
        found = workspace.answers.files.read_with_time(fingerprint)
        decoded = decode(found[0]) if found else None
    except CorruptAnswerError as error:
        workspace.answers.files.warn_of_damage(fingerprint, error)
        return None
    if found is None or decoded is None:
        return None
    return _made(place, workspace, decoded, "file", found[1])


def _unpacked(packed: bytes) -> Rendered:
    return Rendered(packed[_ROW_COUNT_BYTES:], int.from_bytes(packed[:_ROW_COUNT_BYTES], "big"), "redis")


def _made(place: Place, workspace: Workspace, decoded: Answer, tier: Tier | None, kept_s: float) -> Rendered:
    """Make JSON of an answer, and keep it."""
    content = _json(decoded)
    packed = decoded.row_count.to_bytes(_ROW_COUNT_BYTES, "big") + content
    workspace.answers.keep_rendering(*place, KIND, packed, kept_s=kept_s)
    return Rendered(content, decoded.row_count, tier, decoded if tier is None else None)


def _json(decoded: Answer) -> bytes:
    content = {
        "data": records(decoded.trades),
        "metadata": {**decoded.statistics, "notices": records(decoded.notices), "provenance": decoded.provenance},
    }
    return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
