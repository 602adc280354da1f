"""Answers as the API sends them: their JSON is kept as bytes, which are put into what is said of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from backtest_pipelines.api.opened_workspace import OpenedWorkspace

if TYPE_CHECKING:
    from backtest_pipelines.executions.rendering import Rendered

_JSON: Final = json.JSONEncoder(allow_nan=False)


def rendered_once_given(workspace: OpenedWorkspace, fingerprint: str, variant: str, symbol: str) -> Rendered | None:
    """Return an answer that was given before, or None where it is not kept any more; to be called in a thread.

    Raises
    ------
    UnavailableError
        If its file cannot be read.
    """
    from backtest_pipelines.executions import rendering  # noqa: PLC0415 - with Arrow, see `OpenedWorkspace`

    return rendering.rendered_once_given(fingerprint, variant, symbol, workspace.get())


def with_member(content: Mapping[str, object], name: str, member: bytes) -> bytes:
    """Return a JSON object with one more member, which is JSON already."""
    return _dumps(content)[:-1] + f', "{name}": '.encode() + member + b"}"


def with_members(rendering: bytes, more: Mapping[str, object]) -> bytes:
    """Return a JSON object, which is JSON already, with more members."""
    return rendering[:-1] + b", " + _dumps(more)[1:]


def _dumps(content: Mapping[str, object]) -> bytes:
    return _JSON.encode(content).encode()
