"""JSON in its one form, so that equal contents are equal bytes."""

from __future__ import annotations

import json


def canonical_json(content: object) -> str:
    """Return the JSON of a content with its members sorted by name, and without spaces."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
