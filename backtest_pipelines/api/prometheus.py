"""The route that Prometheus reads: executions, cache, parts, jobs, workers and requests in its text format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.responses import PlainTextResponse, Response

from backtest_pipelines.api.figures import WithFigures
from backtest_pipelines.api.metric_families import Families, Reading
from backtest_pipelines.api.readiness import Parts
from backtest_pipelines.api.services import Services, WithServices
from backtest_pipelines.api.traffic import Traffic
from backtest_pipelines.records.totals import read_totals
from backtest_pipelines.records.workers import Workers

if TYPE_CHECKING:
    from backtest_pipelines.executions.cache import Held

router = APIRouter(tags=["metrics"])


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request, services: WithServices, figures: WithFigures) -> Response:
    """Return all metrics in the text format of Prometheus."""
    held, parts = await figures.held.get(), await figures.parts.get()
    text = await services.call(_text, services, held, parts, request.app.state.traffic)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _text(services: Services, held: Held, parts: Parts, traffic: Traffic) -> bytes:
    reading = Reading(
        totals=read_totals(services.database),
        held=held,
        parts=dict(parts),
        open_jobs=services.jobs.count_open(),
        workers=Workers(services.database).alive(),
        requests=dict(traffic.answered),
        requests_under_way=traffic.under_way,
    )
    return generate_latest(Families(reading))
