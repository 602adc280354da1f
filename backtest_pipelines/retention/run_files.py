"""What Dagster keeps of a run in files: its events, where they are in SQLite, and what its steps wrote to stdout.

Deleting a run leaves its file of events behind, emptied of its rows, and the folder of its outputs whole.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from pathlib import Path
from uuid import UUID

from backtest_pipelines.retention.files import Aged, aged, delete


class RunFiles:
    """The files of runs below Dagster's home.

    Parameters
    ----------
    dagster_home : Path
    """

    def __init__(self, dagster_home: Path) -> None:
        self._events = dagster_home / "history" / "runs"
        self._outputs = dagster_home / "storage"

    def of(self, run_id: str) -> list[Aged]:
        """Return what there is of a run."""
        events = [self._events / f"{run_id}.db{ending}" for ending in ("", "-wal", "-shm")]
        return [*aged(events), *self.outputs_of([run_id])]

    def outputs_of(self, run_ids: Iterable[str]) -> list[Aged]:
        """Return the folders of what the steps of runs wrote to their outputs, where there are any."""
        return aged(self._outputs / run_id for run_id in run_ids)

    def delete(self, run_id: str) -> None:
        """Delete all files of a run that Dagster does not know any more."""
        for found in self.of(run_id):
            delete(found.path)

    def with_events(self) -> list[str]:
        """Return the ids of all runs that have a file of events."""
        return _run_ids(path.stem for path in self._events.glob("*.db"))

    def with_outputs(self) -> list[str]:
        """Return the ids of all runs that have a folder of outputs."""
        return _run_ids(path.name for path in self._outputs.glob("*"))

    def left_over(self, known: Container[str], changed_before_s: float) -> list[str]:
        """Return the ids of runs of which there are files, unchanged since a time, but which nobody knows."""
        strangers = [run_id for run_id in {*self.with_events(), *self.with_outputs()} if run_id not in known]
        return sorted(
            run_id for run_id in strangers if all(file.changed_s < changed_before_s for file in self.of(run_id))
        )


def _run_ids(names: Iterable[str]) -> list[str]:
    """Return the names that are ids of runs: Dagster keeps other files beside theirs."""
    return [name for name in names if _is_run_id(name)]


def _is_run_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
