"""The resources of all definitions, and the executor."""

from __future__ import annotations

import dagster as dg

from backtest_pipelines.defs.io_manager import answer_io_manager
from backtest_pipelines.defs.workspace import WorkspaceResource


@dg.definitions
def resources() -> dg.Definitions:
    """Return the resources and the executor: a step takes milliseconds, a process of its own seconds."""
    return dg.Definitions(
        resources={"workspace": WorkspaceResource(), "answers": answer_io_manager},
        executor=dg.in_process_executor,
    )
