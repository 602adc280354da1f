"""The route that Prometheus reads: executions, cache, parts, jobs, workers and requests in its text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.responses import PlainTextResponse, Response

from backtest_pipelines.api.figures import WithFigures
from backtest_pipelines.api.metric_families import Families, Reading, Recorded
from backtest_pipelines.api.services import Services, WithServices
from backtest_pipelines.api.traffic import Traffic
from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.records.totals import read_totals
from backtest_pipelines.records.workers import Workers

if TYPE_CHECKING:
    from backtest_pipelines.executions.cache import Held

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, services: WithServices, figures: WithFigures) -> Response:
    """Return all metrics in the text format of Prometheus. Without its database it tells of itself alone."""
    parts = dict(await figures.parts.get())
    recorded = None
    try:
        recorded = await services.call(_recorded, services, await figures.held.get())
    except UnavailableError:
        parts["database"] = "down"
    traffic: Traffic = request.app.state.traffic
    reading = Reading(parts, recorded, dict(traffic.answered), traffic.under_way)
    return Response(await services.call(_text, reading), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _recorded(services: Services, held: Held) -> Recorded:
    return Recorded(
        totals=read_totals(services.database),
        held=held,
        open_jobs=services.jobs.count_open(),
        workers=Workers(services.database).alive(),
    )


def _text(reading: Reading) -> bytes:
    return generate_latest(Families(reading))
