"""The workspace of the API, opened by the first route that computes or looks at the cache."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING

from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.records.database import Database

if TYPE_CHECKING:
    from backtest_pipelines.executions.workspace import Workspace


class OpenedWorkspace:
    """A workspace on the API's own database. Safe to share between threads.

    Parameters
    ----------
    settings : Settings
    database : Database
    """

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._lock = threading.Lock()
        self._workspace: Workspace | None = None

    def get(self) -> Workspace:
        """Return the workspace; to be called in a thread, as the first time takes a moment."""
        with self._lock:
            if self._workspace is None:
                # Loads NumPy and Arrow, 35 MB that a process which only passes on does without.
                from backtest_pipelines.executions.workspace import Workspace  # noqa: PLC0415

                self._workspace = Workspace(self._settings, self._database)
                gc.freeze()  # as at the start of the process
            return self._workspace

    def close(self) -> None:
        """Close its connections; the database stays open."""
        with self._lock:
            if self._workspace is not None:
                self._workspace.close()
                self._workspace = None
