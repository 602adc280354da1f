"""JSON in its one form, so that equal contents are equal bytes."""

from __future__ import annotations

import json
from typing import Final

_JSON: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def canonical_json(content: object) -> str:
    """Return the JSON of a content with its members sorted by name, and without spaces."""
    return _JSON.encode(content)
