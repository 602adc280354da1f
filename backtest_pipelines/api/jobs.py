"""The routes of jobs: submit, look, list, cancel."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from backtest_pipelines.api.bodies import documented
from backtest_pipelines.api.job_request import JobBody, job_request
from backtest_pipelines.api.job_views import RUNS_AT_ONCE, STATUSES, Status, ended_state, run_states, state, views
from backtest_pipelines.api.launching import Launcher
from backtest_pipelines.api.problems import ConflictError, UnknownError
from backtest_pipelines.api.services import Services, WithServices
from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.records.jobs import Job
from backtest_pipelines.strategies import catalogue

MAX_LISTED: Final = 500
MAX_SEARCHED: Final = 10_000
"""Jobs that are looked through, newest first, for those of a status."""


def _launcher(request: Request) -> Launcher:
    launcher: Launcher = request.state.launcher
    return launcher


WithLauncher = Annotated[Launcher, Depends(_launcher)]

router = APIRouter(prefix="/jobs", tags=["jobs"])


@router.post("", status_code=201, openapi_extra=documented(JobBody))
async def submit(request: Request, services: WithServices, launcher: WithLauncher) -> Response:
    """Accept a job. A request id that is known with this body names its job, which is answered with 200."""
    asked = await job_request(request)
    job, is_new = await services.call(
        services.jobs.add,
        request_id=asked.request_id,
        body_digest=asked.digest,
        variant=asked.variant,
        symbol=asked.symbol,
        request=asked.text,
    )
    if is_new:
        await launcher.launch(job)
        job = await _known(services, job.job_id)
    (view,) = await views(services, [job])
    return JSONResponse(view, 201 if is_new else 200, {"Location": f"{request.url.path}/{job.job_id}"})


@router.get("")
async def recent(
    services: WithServices,
    status: Status | None = None,
    variant: str | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 50,
) -> Response:
    """List jobs, newest first."""
    if variant is not None:
        catalogue.variant(variant)
    if status is None:
        jobs = await services.call(services.jobs.recent, limit, variant)
    else:
        jobs = await _of_status(services, status, variant, limit)
    # Looked at once more: a job that has moved on meanwhile is not shown as one of the status.
    found = [view for view in await views(services, jobs) if status in (None, view["status"])]
    return JSONResponse(found)


@router.get("/{job_id}")
async def look(job_id: str, services: WithServices) -> Response:
    """Return one job."""
    (view,) = await views(services, [await _known(services, job_id)])
    return JSONResponse(view)


@router.delete("/{job_id}", status_code=204)
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
        msg = f"there is no job {job_id}, or not any more"
        raise UnknownError(msg)
    return job


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
