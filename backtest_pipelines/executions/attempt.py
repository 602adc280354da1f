"""One execution from its start to its row in the table."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from backtest_pipelines.canonical import canonical_json
from backtest_pipelines.errors import BacktestError
from backtest_pipelines.executions.answering import Named
from backtest_pipelines.executions.log import log_execution
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.records.executions import Execution, ExecutionRecords
from backtest_pipelines.records.jobs import Job
from backtest_pipelines.results.store import Tier

logger = logging.getLogger(__name__)


class Attempt:
    """An execution that begins now.

    Parameters
    ----------
    request : ExecutionRequest
    job : Job, optional
        That it answers: it is on record under the job's execution id.

    Attributes
    ----------
    job : Job or None
    """

    def __init__(self, request: ExecutionRequest, job: Job | None = None) -> None:
        self.job = job
        self._request = request
        self._started_at, self._start = datetime.now(UTC), perf_counter()

    def completed(self, named: Named, tier: Tier | None, row_count: int) -> Execution:
        """Return the row of an execution that has its answer now."""
        question = named.question
        return Execution(
            **self._fields(),
            variant=question.variant.name,
            symbol=question.symbol,
            parameters=question.canonical_text,
            outcome="completed",
            cached=tier is not None,
            tier=tier,
            row_count=row_count,
            fingerprint=named.fingerprint,
        )

    def failed(self, error: Exception) -> Execution:
        """Return the row of an execution that fails now."""
        request = self._request
        asked = {
            "parameters": request.parameters,
            "from_date": request.from_date,
            "to_date": request.to_date,
            "phases": request.phases,
            "exit_at_expiry": request.exit_at_expiry,
            "brokerage_inr_per_order": request.brokerage_inr_per_order,
        }
        return Execution(
            **self._fields(),
            variant=str(request.variant),
            symbol=str(request.symbol),
            parameters=canonical_json(_as_text(asked)),
            outcome="failed",
            error_type=type(error).__name__,
            error_message=str(error),
        )

    def _fields(self) -> dict[str, Any]:
        """Return what is known of the row however it ends, with the time until now."""
        request, job = self._request, self.job
        return {
            "door": "rest" if job else request.door,
            "started_at": self._started_at,
            "duration_ms": (perf_counter() - self._start) * 1000,
            "attempt": request.attempt,
            "run_id": request.run_id,
            "request_id": request.request_id,
            "job_id": job.job_id if job else None,
            "id": job.execution_id if job else None,
        }


def record_failure(failure: Execution, records: ExecutionRecords) -> None:
    """Put a failure on record, or say in the log that it is not: the caller is owed the error itself."""
    try:
        log_execution(failure, records.insert(failure))
    except BacktestError as unrecorded:
        logger.warning("A failed execution is not on record: %s", unrecorded)


def _as_text(asked: object) -> object:
    """Return what was asked, right or wrong, as JSON can hold it: all but null, lists and objects as text."""
    if isinstance(asked, Mapping):
        return {str(name): _as_text(value) for name, value in asked.items()}
    if isinstance(asked, list | tuple):
        return [_as_text(value) for value in asked]
    return None if asked is None else str(asked)
