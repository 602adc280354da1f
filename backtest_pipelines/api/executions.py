"""The routes of executions: what was asked through any door, what became of it, and its trades as files."""

from __future__ import annotations

import io
import json
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from backtest_pipelines.api.answer_models import Failure
from backtest_pipelines.api.answers import FOR_EVER, answer_of
from backtest_pipelines.api.problems import ConflictError, UnknownError
from backtest_pipelines.api.question_fields import VariantName
from backtest_pipelines.api.services import Services, WithServices
from backtest_pipelines.api.strategies import named_variant
from backtest_pipelines.records.executions import Door, Execution
from backtest_pipelines.records.jobs import Job
from backtest_pipelines.records.times import utc_text

Status = Literal["pending", "completed", "failed"]

MAX_LISTED: Final = 1000
MAX_ID: Final = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exactly."""
MEDIA_TYPES: Final = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}

ExecutionId = Annotated[int, Path(ge=1, le=MAX_ID)]

router = APIRouter(prefix="/executions", tags=["executions"])


class ExecutionView(BaseModel):
    """What was asked, and what became of it."""

    execution_id: int = Field(ge=1, le=MAX_ID)
    strategy_name: str
    status: Status
    parameters: dict[str, Any] = Field(description="by name, with the symbol")
    from_date: str | None
    to_date: str | None
    phases: list[Any] | None = Field(description="pairs of ISO dates")
    exit_at_expiry: str | None
    started_at: str = Field(description="ISO 8601, UTC; of a pending one, when it was submitted")
    duration_ms: float | None
    cached: bool = Field(description="whether the answer was found and not computed")
    tier: Literal["redis", "file"] | None = Field(description="where it was found")
    row_count: int | None = Field(description="number of trades")
    door: Door
    attempt: int
    run_id: str | None = Field(description="Dagster's run")
    job_id: str | None
    fingerprint: str | None = Field(description="identity of the answer")
    error: Failure | None


_WITHOUT_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    409: {"description": "The execution has no answer"},
    410: {"description": "Its answer was removed by retention, or is damaged"},
}


@router.get("", responses={200: {"model": list[ExecutionView]}})
async def recent(
    services: WithServices,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 50,
    strategy_name: VariantName | None = None,
    status: Status | None = None,
) -> Response:
    """List executions, newest first; those of jobs that are not done are pending."""
    if strategy_name is not None:
        named_variant("strategy_name", strategy_name)
    found: dict[int, dict[str, Any]] = {}
    if status in (None, "pending"):
        jobs = await services.call(services.jobs.open_last, limit, strategy_name)
        found = {job.execution_id: _pending(job) for job in jobs}
    if status != "pending":
        # Looked for second, so that a job which ends meanwhile is in one of both at least, and not pending any more.
        executions = await services.call(services.executions.recent, limit, strategy_name, status)
        found |= {view["execution_id"]: view for view in map(_view, executions)}
    newest = sorted(found.values(), key=lambda view: (view["started_at"], view["execution_id"]), reverse=True)
    return JSONResponse(newest[:limit])


@router.get("/{execution_id}", responses={200: {"model": ExecutionView}})
async def one(execution_id: ExecutionId, services: WithServices) -> Response:
    """Return one execution."""
    return JSONResponse(await _known(services, execution_id))


@router.get(
    "/{execution_id}/trades.{form}",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}, **_WITHOUT_ANSWER},
)
async def trades(
    execution_id: ExecutionId, form: Literal["csv", "parquet", "arrow"], services: WithServices
) -> Response:
    """Return the trades of an execution as a file."""
    fingerprint = await _fingerprint(services, execution_id)
    content = await services.call(_trades, services, fingerprint, execution_id, form)
    name = f"trades-{execution_id}.{form}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": FOR_EVER}
    return Response(content, media_type=MEDIA_TYPES[form], headers=headers)


@router.get(
    "/{execution_id}/figures/equity.svg",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}, **_WITHOUT_ANSWER},
)
async def equity(execution_id: ExecutionId, services: WithServices) -> Response:
    """Draw the equity of an execution."""
    fingerprint = await _fingerprint(services, execution_id)
    content = await services.call(_equity, services, fingerprint, execution_id)
    return Response(content, media_type="image/svg+xml", headers={"Cache-Control": FOR_EVER})


async def _known(services: Services, execution_id: int) -> dict[str, Any]:
    execution = await services.call(services.executions.get, execution_id)
    if execution is not None:
        return _view(execution)
    job = await services.call(services.jobs.of_execution, execution_id)
    if job is None:
        msg = f"there is no execution {execution_id}, or not any more"
        raise UnknownError(msg)
    return _pending(job)


async def _fingerprint(services: Services, execution_id: int) -> str:
    view = await _known(services, execution_id)
    fingerprint: str | None = view["fingerprint"]
    if fingerprint is None:
        msg = f"execution {execution_id} has {view['status']}: it has no answer" + (
            " yet" if view["status"] == "pending" else ""
        )
        raise ConflictError(msg)
    return fingerprint


def _view(execution: Execution) -> dict[str, Any]:
    error = {"type": execution.error_type, "message": execution.error_message or ""}
    return {
        "execution_id": execution.id,
        "strategy_name": execution.variant,
        "status": execution.outcome,
        **_question(json.loads(execution.parameters), execution.symbol),
        "started_at": utc_text(execution.started_at),
        "duration_ms": execution.duration_ms,
        "cached": execution.cached,
        "tier": execution.tier,
        "row_count": execution.row_count,
        "door": execution.door,
        "attempt": execution.attempt,
        "run_id": execution.run_id,
        "job_id": execution.job_id,
        "fingerprint": execution.fingerprint,
        "error": error if execution.error_type else None,
    }


def _pending(job: Job) -> dict[str, Any]:
    return {
        "execution_id": job.execution_id,
        "strategy_name": job.variant,
        "status": "pending",
        **_question(json.loads(job.request), job.symbol),
        "started_at": utc_text(job.submitted_at),
        "duration_ms": None,
        "cached": False,
        "tier": None,
        "row_count": None,
        "door": "rest",
        "attempt": 1,
        "run_id": job.run_id,
        "job_id": job.job_id,
        "fingerprint": None,
        "error": None,
    }


def _question(content: dict[str, Any], symbol: str) -> dict[str, Any]:
    return {
        "parameters": {**content.get("parameters", {}), "symbol": symbol},
        "from_date": content.get("from_date"),
        "to_date": content.get("to_date"),
        "phases": content.get("phases"),
        "exit_at_expiry": content.get("exit_at_expiry"),
    }


def _trades(services: Services, fingerprint: str, execution_id: int, form: str) -> bytes:
    from backtest_pipelines.results.exports import WRITERS  # noqa: PLC0415 - with Arrow, see `answer_of`

    table = answer_of(services.answers, fingerprint, execution_id).trades
    file = io.BytesIO()
    WRITERS[f".{form}"](table, file)
    return file.getvalue()


def _equity(services: Services, fingerprint: str, execution_id: int) -> str:
    from backtest_pipelines.analytics.figures import equity_svg  # noqa: PLC0415 - with numpy, see `answer_of`
    from backtest_pipelines.results.tables import equity_of  # noqa: PLC0415

    return equity_svg(equity_of(answer_of(services.answers, fingerprint, execution_id).equity))
