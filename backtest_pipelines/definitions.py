"""The code location. It only assembles: every definition lives in `defs/`, which is loaded whole."""

from __future__ import annotations

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of every module in `defs/`."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__))
