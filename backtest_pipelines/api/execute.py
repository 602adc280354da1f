"""The route of questions that are answered at once, or by a job."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from backtest_pipelines.api.answer_models import Accepted, Completed
from backtest_pipelines.api.bodies import documented
from backtest_pipelines.api.desk import Given
from backtest_pipelines.api.execute_request import ExecuteBody, ExecuteRequest, execute_request
from backtest_pipelines.api.job_views import views
from backtest_pipelines.api.launching import Launcher
from backtest_pipelines.api.opened_workspace import OpenedWorkspace
from backtest_pipelines.api.plain_route import PlainRoute
from backtest_pipelines.api.problems import recorded_problem
from backtest_pipelines.api.rendered_bytes import rendered_once_given, with_member
from backtest_pipelines.api.services import Services
from backtest_pipelines.errors import MissingDataError, UnavailableError
from backtest_pipelines.records.executions import Execution
from backtest_pipelines.records.jobs import Job
from backtest_pipelines.records.times import utc_text

if TYPE_CHECKING:
    from backtest_pipelines.executions.serve import Served

WAIT_S: Final = 30.0
"""How long a request waits for the answer to an equal one that has the same key and came before it."""
LOOK_EACH_S: Final = 0.02

router = APIRouter(tags=["execute"], route_class=PlainRoute)


@router.post(
    "/execute",
    openapi_extra=documented(ExecuteBody),
    responses={
        200: {"model": Completed | Accepted},
        404: {"description": "The data that the question needs was never ingested"},
        409: {"description": "The key names another request"},
    },
)
async def execute(request: Request) -> Response:
    """Answer a question, or accept a job that does."""
    asked = await execute_request(request)
    services: Services = request.state.services
    if asked.key is None and not asked.is_async:
        return await _answered(services, asked)
    job, is_new = await asked.job.add(services)
    if asked.is_async:
        if is_new:
            launcher: Launcher = request.state.launcher
            await launcher.launch(job)
            return JSONResponse(_accepted(job, "pending"))
        (view,) = await views(services, [job])
        return JSONResponse(_accepted(job, view["status"]))
    return await (_answered_for(services, asked, job) if is_new else _answered_before(services, job))


async def _answered(services: Services, asked: ExecuteRequest) -> Response:
    given = await services.desk.kept(asked.request, asked.question)
    if given is None:
        given = await _recorded(services, await services.compute(_serve, services.workspace, asked, None))
    return _completed(given.execution_id, given.row, given.json)


async def _answered_for(services: Services, asked: ExecuteRequest, job: Job) -> Response:
    try:
        served = await services.compute(_serve, services.workspace, asked, job)
    except UnavailableError as error:
        # Left open: it is launched as a run, which is tried again until it has its answer.
        msg = f"{error}; job {job.job_id} goes on: look at it, or ask again with the same key"
        raise UnavailableError(msg) from error
    except Exception:
        await services.call(services.jobs.end, job.job_id, "failed")
        raise
    given = await _recorded(services, served)
    await services.call(services.jobs.end, job.job_id, "completed")
    return _completed(given.execution_id, given.row, given.json)


async def _recorded(services: Services, served: Served) -> Given:
    given = await services.desk.record(served)
    if served.answer.computed is not None:
        from backtest_pipelines.executions.summary import summary  # noqa: PLC0415 - with Arrow, which has computed

        row, fingerprint = given.row, given.row.fingerprint or ""
        figures = summary(
            served.answer.computed,
            execution_id=given.execution_id,
            tier=row.tier,
            duration_ms=row.duration_ms,
            fingerprint=fingerprint,
        )
        services.reports.put(row.variant, row.symbol, fingerprint, figures)
    return given


async def _answered_before(services: Services, job: Job) -> Response:
    """Return what the request with the same key got, or will get in a moment."""
    deadline = time.monotonic() + WAIT_S
    while (execution := await services.call(services.executions.get, job.execution_id)) is None:
        if time.monotonic() > deadline:
            msg = f"job {job.job_id}, which has the same key, is not answered yet: ask again"
            raise UnavailableError(msg)
        await asyncio.sleep(LOOK_EACH_S)
    if execution.error_type is not None:
        return recorded_problem(execution.error_type, execution.error_message or "")
    given = (execution.fingerprint or "", execution.variant, execution.symbol)
    rendered = await services.compute(rendered_once_given, services.workspace, *given)
    if rendered is None:
        msg = f"the answer of execution {job.execution_id} is not kept any more: ask with another key"
        raise MissingDataError(msg)
    return _completed(job.execution_id, execution, rendered.json)


def _serve(workspace: OpenedWorkspace, asked: ExecuteRequest, job: Job | None) -> Served:
    from backtest_pipelines.executions.serve import serve  # noqa: PLC0415 - with NumPy, see `OpenedWorkspace`

    return serve(asked.request, asked.question, workspace.get(), job)


def _completed(execution_id: int, execution: Execution, result: bytes) -> Response:
    head = {
        "execution_id": execution_id,
        "strategy_name": execution.variant,
        "status": "completed",
        "started_at": utc_text(execution.started_at),
        "completed_at": utc_text(execution.started_at + timedelta(milliseconds=execution.duration_ms)),
        "duration_ms": execution.duration_ms,
        "cached": execution.cached,
        "row_count": execution.row_count,
    }
    return Response(with_member(head, "result", result), media_type="application/json")


def _accepted(job: Job, status: object) -> dict[str, object]:
    return {
        "execution_id": job.execution_id,
        "strategy_name": job.variant,
        "status": status,
        "started_at": utc_text(job.submitted_at),
        "job_id": job.job_id,
    }
