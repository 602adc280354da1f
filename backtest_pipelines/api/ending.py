"""The end of a job: its execution is on record before the job is noted as ended."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal, TypedDict

from backtest_pipelines.api.job_views import CANCELLED, run_failures, unsaid
from backtest_pipelines.api.services import Services
from backtest_pipelines.graphql.replies import RunFailure, RunState
from backtest_pipelines.records.executions import Execution
from backtest_pipelines.records.jobs import EndedState, Job


async def end_job(services: Services, job: Job, ended: EndedState, run: RunState | None) -> None:
    """Note how a job ended; one that did not succeed is put on record, as a job that did was by its run.

    Done again, as by another server or after a crash in between, it changes nothing.

    Parameters
    ----------
    services : Services
    job : Job
    ended : {"completed", "failed", "cancelled"}
    run : RunState or None
        Of the job's run; None when it has none, or it was deleted.

    Raises
    ------
    UnavailableError
        If the web server or the database does not answer.
    """
    if ended != "completed":
        failure = await _failure(services, job, ended, run)
        await services.call(services.executions.insert, _row(job, run, failure), run_has_ended=True)
    await services.call(services.jobs.end, job.job_id, ended)


async def _failure(services: Services, job: Job, ended: EndedState, run: RunState | None) -> RunFailure:
    if ended == "cancelled":
        return CANCELLED
    found = {} if run is None else await run_failures(services, [run.run_id])
    return found.get(job.run_id or "", unsaid(job, run))


def _row(job: Job, run: RunState | None, failure: RunFailure) -> Execution:
    return Execution(
        variant=job.variant,
        parameters=job.request,
        symbol=job.symbol,
        door="rest",
        **how_it_failed(failure, run, asked_at_s=job.submitted_at.timestamp()),
        attempt=max(1, run.attempts if run else 1),
        run_id=job.run_id,
        job_id=job.job_id,
        id=job.execution_id,
    )


class Failed(TypedDict):
    """The columns of an execution that say when and how it failed."""

    started_at: datetime
    duration_ms: float
    outcome: Literal["failed"]
    error_type: str
    error_message: str


def how_it_failed(failure: RunFailure, run: RunState | None, *, asked_at_s: float) -> Failed:
    """Return when and how an execution failed whose run did not record it.

    Parameters
    ----------
    failure : RunFailure
    run : RunState or None
        None where it had none, or it was deleted.
    asked_at_s : float
        When it was asked for, in seconds since 1970: its start where there is no run.
    """
    started_s = (run.started_at_s or run.created_at_s) if run else asked_at_s
    ended_s = (run.ended_at_s if run else None) or time.time()
    return {
        "started_at": datetime.fromtimestamp(started_s, UTC),
        "duration_ms": max(0.0, (ended_s - started_s) * 1000),
        "outcome": "failed",
        "error_type": failure.type,
        "error_message": failure.message,
    }
