"""The routes of jobs: submit, look, list, cancel."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from backtest_pipelines.api.answer_models import JobView, JobWithResult, UnknownJob
from backtest_pipelines.api.bodies import documented
from backtest_pipelines.api.job_request import JobBody, job_request
from backtest_pipelines.api.job_views import RUNS_AT_ONCE, STATUSES, Status, ended_state, run_states, state, views
from backtest_pipelines.api.launching import WithLauncher
from backtest_pipelines.api.problems import ConflictError, UnknownError
from backtest_pipelines.api.question_fields import VariantName
from backtest_pipelines.api.rendered_bytes import rendered_once_given, with_member, with_members
from backtest_pipelines.api.services import Services, WithServices
from backtest_pipelines.api.strategies import named_variant
from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.records.jobs import Job

MAX_LISTED: Final = 500
MAX_SEARCHED: Final = 10_000
"""Jobs that are looked through, newest first, for those of a status."""


router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.post(
    "",
    status_code=201,
    openapi_extra=documented(JobBody),
    responses={
        200: {"model": JobView, "description": "The request id is known with this body"},
        201: {"model": JobView},
        409: {"description": "The request id names another request"},
    },
)
async def submit(request: Request, services: WithServices, launcher: WithLauncher) -> Response:
    """Accept a job. A request id that is known with this body names its job, which is answered with 200."""
    asked = await job_request(request)
    job, is_new = await asked.add(services)
    if is_new:
        await launcher.launch(job)
        job = await _known(services, job.job_id)
    (view,) = await views(services, [job])
    return JSONResponse(view, 201 if is_new else 200, {"Location": f"{request.url.path}/{job.job_id}"})


@router.get("", responses={200: {"model": list[JobView]}})
async def recent(
    services: WithServices,
    status: Status | None = None,
    strategy: VariantName | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 50,
) -> Response:
    """List jobs, newest first."""
    if strategy is not None:
        named_variant("strategy", strategy)
    if status is None:
        jobs = await services.call(services.jobs.recent, limit, strategy)
    else:
        jobs = await _of_status(services, status, strategy, limit)
    # Looked at once more: a job that has moved on meanwhile is not shown as one of the status.
    found = [view for view in await views(services, jobs) if status in (None, view["status"])]
    return JSONResponse(found)


@router.get(
    "/{job_id}",
    responses={200: {"model": JobWithResult}, 404: {"model": UnknownJob, "description": "There is no such job"}},
)
async def look(
    job_id: str,
    services: WithServices,
    *,
    result: Annotated[bool, Query(description="false leaves the answer of a completed job out")] = True,
) -> Response:
    """Return one job, with its answer once it is completed."""
    job = await services.call(services.jobs.get, job_id)
    if job is None:
        # Said so that no client waits for ever, which reads the status of whatever it gets.
        error = {"type": UnknownError.__name__, "message": _unknown(job_id)}
        return JSONResponse(
            {"job_id": job_id, "status": "failed", "state": "failed", "progress": 1, "error": error}, 404
        )
    (view,) = await views(services, [job])
    if not result or view["status"] != "completed":
        return JSONResponse(view)
    content = with_member(view, "result", await _result(services, view))
    return Response(content, media_type="application/json")


@router.delete("/{job_id}", status_code=204, responses={409: {"description": "The job has ended"}})
async def cancel(job_id: str, services: WithServices, launcher: WithLauncher) -> Response:
    """Cancel a job. Where the web server does not answer just now, its run is stopped as soon as it does."""
    job = await _known(services, job_id)
    try:
        ended = ended_state(job, (await run_states(services, [job])).get(job.run_id or ""))
    except UnavailableError:
        ended = job.ended_state
    if ended in ("completed", "failed"):
        msg = f"job {job_id} has {ended}: there is nothing left to cancel"
        raise ConflictError(msg)
    if ended is None:
        await services.call(services.jobs.request_cancel, job_id)
        with suppress(UnavailableError):
            # Looked at again, as a run may have been attached meanwhile; from now on none is.
            await launcher.cancel(await _known(services, job_id))
    return Response(status_code=204)


async def _known(services: Services, job_id: str) -> Job:
    job = await services.call(services.jobs.get, job_id)
    if job is None:
        raise UnknownError(_unknown(job_id))
    return job


def _unknown(job_id: str) -> str:
    return f"there is no job {job_id}, or not any more"


async def _result(services: Services, view: Mapping[str, Any]) -> bytes:
    """Return the answer of a completed job as JSON, or null where retention removed it."""
    given = (view["fingerprint"], view["variant"], view["symbol"])
    rendered = await services.compute(rendered_once_given, services.workspace, *given)
    if rendered is None:
        return b"null"
    figures = {"execution_time_ms": view["duration_ms"], "row_count": view["row_count"]}
    head = {"status": "SUCCESS", "strategy": view["variant"]}
    return with_member(head, "result", with_members(rendered.json, figures))


async def _of_status(services: Services, status: Status, variant: str | None, limit: int) -> list[Job]:
    found: list[Job] = []
    jobs = [
        job
        for job in await services.call(services.jobs.recent, MAX_SEARCHED, variant)
        if job.ended_state is None or STATUSES[job.ended_state] == status
    ]
    for start in range(0, len(jobs), RUNS_AT_ONCE):
        some = jobs[start : start + RUNS_AT_ONCE]
        runs = await run_states(services, [job for job in some if job.ended_state is None])
        found += [job for job in some if STATUSES[state(job, runs.get(job.run_id or ""))] == status]
        if len(found) >= limit:
            break
    return found[:limit]
