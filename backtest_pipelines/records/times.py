"""Times as text: as the tables keep them, and as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_text(moment: datetime) -> str:
    """Return a moment as ISO 8601, in UTC and with its zone, to the microsecond."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")
