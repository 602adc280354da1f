"""What was pruned, or would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was pruned of one kind; in a dry run, what would be.

    Attributes
    ----------
    kind : str
        "runs", "compute_logs", "reports", "executions", "answers" or "logs".
    count : int
        How many were deleted.
    bytes : int
        Disk that they took. Executions have their share of the pages of their table; rows of runs are not counted,
        their files are.
    kept : int
        How many are left.
    oldest_kept : datetime or None
        UTC: start of the oldest execution, creation of the oldest run, last use or change of the oldest file that is
        left; None where nothing is.
    """

    kind: str
    count: int
    bytes: int
    kept: int
    oldest_kept: datetime | None

    def content(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "kind": self.kind,
            "count": self.count,
            "bytes": self.bytes,
            "kept": self.kept,
            "oldest_kept": None if self.oldest_kept is None else self.oldest_kept.isoformat(timespec="seconds"),
        }


def pruned_from(content: Mapping[str, object]) -> Pruned:
    """Return what `Pruned.content` wrote."""
    oldest = content["oldest_kept"]
    return Pruned(
        str(content["kind"]),
        int(str(content["count"])),
        int(str(content["bytes"])),
        int(str(content["kept"])),
        None if oldest is None else datetime.fromisoformat(str(oldest)),
    )
