"""Jobs as callers see them: the row of the job, the state of its run, and what the run recorded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal, TypeVar

from backtest_pipelines.api.services import Services
from backtest_pipelines.graphql import documents, replies
from backtest_pipelines.graphql.replies import RunFailure, RunState
from backtest_pipelines.records.executions import Execution
from backtest_pipelines.records.jobs import EndedState, Job
from backtest_pipelines.records.times import utc_text

T = TypeVar("T")
State = Literal["queued", "starting", "running", "completed", "failed", "cancelling", "cancelled"]
Status = Literal["pending", "running", "completed", "failed"]

RUNS_AT_ONCE: Final = 100
"""Runs that one question to the web server names."""

STATUSES: Final[dict[State, Status]] = {
    "queued": "pending",
    "starting": "pending",
    "running": "running",
    "cancelling": "running",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "failed",
}
_PROGRESS: Final[dict[State, float]] = {
    "queued": 0.0,
    "starting": 0.1,
    "running": 0.5,
    "cancelling": 0.5,
    "completed": 1.0,
    "failed": 1.0,
    "cancelled": 1.0,
}
_OF_RUNS: Final[dict[str, State]] = {
    "QUEUED": "queued",
    "NOT_STARTED": "queued",
    "MANAGED": "queued",
    "STARTING": "starting",
    "STARTED": "running",
    "CANCELING": "cancelling",
}
_NOT_LAUNCHED: Final = RunFailure("BugError", "Dagster refused to launch it; the log of the API says why.")
_RUN_DELETED: Final = RunFailure("WorkerLostError", "Its run is not in Dagster any more.")
CANCELLED: Final = RunFailure("cancelled", "It was cancelled before it was done.")
UNSAID: Final = RunFailure("BugError", "Its run failed and did not say why.")


async def run_states(services: Services, jobs: Sequence[Job]) -> dict[str, RunState]:
    """Return the states of the runs of some jobs, by run id.

    Raises
    ------
    UnavailableError
        If the web server does not answer.
    """
    runs = [job.run_id for job in jobs if job.run_id]
    return await _of_runs(services, documents.RUNS, replies.run_states, runs)


def ended_state(job: Job, run: RunState | None) -> EndedState | None:
    """Return how a job ended, or None when it did not.

    Parameters
    ----------
    job : Job
    run : RunState or None
        Of the job's run; None when it has none, or it was deleted.
    """
    if job.ended_state:
        return job.ended_state
    if job.run_id is None:
        # No run is attached to a job once its cancelling was asked for.
        return "cancelled" if job.cancel_requested else None
    if run is None or (run.status == "FAILURE" and not run.will_retry):
        return "failed"
    if run.status == "CANCELED" or (run.will_retry and job.cancel_requested):
        return "cancelled"
    return "completed" if run.status == "SUCCESS" else None


def state(job: Job, run: RunState | None) -> State:
    """Return where a job is; see `ended_state` for the parameters."""
    if ended := ended_state(job, run):
        return ended
    if job.cancel_requested:
        return "cancelling"
    return "queued" if run is None or run.will_retry else _OF_RUNS[run.status]


async def views(services: Services, jobs: Sequence[Job]) -> list[dict[str, Any]]:
    """Return jobs as JSON, in their order.

    Raises
    ------
    UnavailableError
        If the web server or the database does not answer.
    """
    runs = await run_states(services, jobs)
    ended = {job.job_id: ended_state(job, runs.get(job.run_id or "")) for job in jobs}
    failed = [job.run_id for job in jobs if ended[job.job_id] == "failed" and job.run_id in runs]
    failures = await run_failures(services, failed)
    completed = [job for job in jobs if ended[job.job_id] == "completed"]
    executions = await services.call(_executions, services, completed) if completed else {}
    return [
        _view(
            job,
            runs.get(job.run_id or ""),
            failures.get(job.run_id or ""),
            executions.get(job.job_id),
        )
        for job in jobs
    ]


async def run_failures(services: Services, runs: Sequence[str | None]) -> dict[str, RunFailure]:
    """Return why runs failed, by their ids.

    Raises
    ------
    UnavailableError
        If the web server does not answer.
    """
    return await _of_runs(services, documents.FAILURES, replies.failures, runs)


async def _of_runs(
    services: Services, document: str, read: Callable[[Any], dict[str, T]], runs: Sequence[str | None]
) -> dict[str, T]:
    """Ask for something of runs, some at a time, and return it by their ids."""
    found: dict[str, T] = {}
    for start in range(0, len(runs), RUNS_AT_ONCE):
        found |= read(await services.web.ask(document, runs=runs[start : start + RUNS_AT_ONCE]))
    return found


def _executions(services: Services, jobs: Iterable[Job]) -> dict[str, Execution]:
    found = {job.job_id: services.executions.get(job.execution_id) for job in jobs}
    return {job_id: execution for job_id, execution in found.items() if execution}


def _view(job: Job, run: RunState | None, failure: RunFailure | None, execution: Execution | None) -> dict[str, Any]:
    now = state(job, run)
    return {
        "job_id": job.job_id,
        "request_id": job.request_id,
        "variant": job.variant,
        "symbol": job.symbol,
        "request": json.loads(job.request),
        "status": STATUSES[now],
        "state": now,
        "progress": _PROGRESS[now],
        "submitted_at": utc_text(job.submitted_at),
        "run_id": job.run_id,
        "attempts": run.attempts if run else 0,
        "fingerprint": execution.fingerprint if execution else None,
        "execution_id": job.execution_id,
        "duration_ms": execution.duration_ms if execution else None,
        "row_count": execution.row_count if execution else None,
        "error": _error(now, failure or unsaid(job, run)),
    }


def unsaid(job: Job, run: RunState | None) -> RunFailure:
    """Return why a job failed whose run does not say it."""
    if job.run_id is None:
        return _NOT_LAUNCHED
    return UNSAID if run else _RUN_DELETED


def _error(now: State, failure: RunFailure) -> dict[str, str] | None:
    if now not in ("failed", "cancelled"):
        return None
    said = CANCELLED if now == "cancelled" else failure
    return {"type": said.type, "message": said.message}
