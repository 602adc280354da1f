"""The line of the log that each execution gets, whichever process it is in."""

from __future__ import annotations

import logging

from backtest_pipelines.logs import log_context
from backtest_pipelines.records.executions import Execution

logger = logging.getLogger(__name__)


def log_execution(execution: Execution, execution_id: int) -> None:
    """Write the line of an execution that is on record under an id."""
    if not logger.isEnabledFor(logging.INFO):
        return
    how = f"found in {execution.tier}" if execution.cached else "computed"
    outcome = f"{how}, {execution.row_count} trades" if execution.error_type is None else execution.error_type
    with log_context(execution_id=execution_id, run_id=execution.run_id):
        logger.info(
            "%s on %s by %s %s in %.1f ms: %s",
            execution.variant,
            execution.symbol,
            execution.door,
            execution.outcome,
            execution.duration_ms,
            outcome,
        )
