"""The application: guard, login, routes, the gateway for all else; and what lives as long as the process does."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from fastapi import Depends, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from backtest_pipelines import __version__
from backtest_pipelines.api import (
    cache,
    docs_page,
    execute,
    executions,
    jobs,
    metrics,
    problems,
    prometheus,
    readiness,
    results,
    strategies,
)
from backtest_pipelines.api.desk import Desk
from backtest_pipelines.api.figures import Figures
from backtest_pipelines.api.gateway import Gateway, new_session
from backtest_pipelines.api.guard import Guard, normal_path
from backtest_pipelines.api.heads import Heads
from backtest_pipelines.api.known_queries import only_known_queries
from backtest_pipelines.api.launching import Launcher
from backtest_pipelines.api.listening import Listening
from backtest_pipelines.api.login.middleware import Login
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines.api.openapi import describe, operation_id
from backtest_pipelines.api.opened_workspace import OpenedWorkspace
from backtest_pipelines.api.projecting import Projection
from backtest_pipelines.api.readiness import Lookout
from backtest_pipelines.api.reporting import Reports
from backtest_pipelines.api.request_limits import RequestLimits
from backtest_pipelines.api.services import Services
from backtest_pipelines.api.traffic import Traffic
from backtest_pipelines.api.trouble import Trouble
from backtest_pipelines.api.web_server import WebServer
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.records.cursors import Cursors
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import ExecutionRecords
from backtest_pipelines.records.jobs import JobRecords

logger = logging.getLogger(__name__)

PREFIX: Final = "/api"


def create_app(settings: Settings, dagster_url: str, listening: Listening) -> Traffic:
    """Return the application. Nothing is opened or connected before it starts.

    Parameters
    ----------
    settings : Settings
    dagster_url : str
        Of Dagster's web server, such as http://127.0.0.1:3000.
    listening : Listening

    Raises
    ------
    BadRequestError
        If others could reach it without a login, and nobody said so.
    """
    listening.check(Tokens(settings.home).known())
    app = FastAPI(
        title="Backtest pipelines",
        version=__version__,
        lifespan=lambda app: _lifespan(app, settings, dagster_url.rstrip("/")),
        openapi_url=f"{PREFIX}/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=operation_id,
        # Metrics are Prometheus's; what FastAPI would look for with each request is never there.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    describe(app)
    problems.install(app)
    # What is asked most often comes first, and none is included in another: each level is searched again.
    for module in (execute, jobs, results, strategies, executions, metrics, cache, docs_page):
        app.include_router(module.router, prefix=f"{PREFIX}/v1", dependencies=[Depends(only_known_queries)])
    app.add_api_route("/health", _health, name="health", methods=["GET"], tags=["health"])
    app.include_router(readiness.router)
    app.include_router(prometheus.router)
    limits = settings.limits
    limited = RequestLimits(Heads(app), per_s=limits.requests_per_s, at_once=limits.requests_at_once)
    login = Login(limited, settings.home, is_open=listening.is_open, is_behind_tls=listening.is_behind_tls)
    traffic = Traffic(Guard(login, listening.host, listening.names))
    app.state.traffic = traffic
    return traffic


async def _health() -> dict[str, str]:
    """Say that the API answers."""
    return {"status": "ok"}


@asynccontextmanager
async def _lifespan(app: FastAPI, settings: Settings, dagster_url: str) -> AsyncIterator[dict[str, Any]]:
    database = Database(settings.database)
    web_trouble = Trouble(
        logger, f"Dagster's web server at {dagster_url} does not answer", "Dagster's web server answers again"
    )
    async with new_session() as session:
        records = ExecutionRecords(database)
        workspace = OpenedWorkspace(settings, database)
        web = WebServer(dagster_url, session, web_trouble)
        services = Services(
            jobs=JobRecords(database),
            executions=records,
            cursors=Cursors(database),
            database=database,
            answers=settings.home / "answers",
            web=web,
            workspace=workspace,
            desk=Desk(workspace, records),
            reports=Reports(web),
        )
        projection = Projection(services)
        lookout = Lookout(services, projection)
        figures = Figures(services, lookout)
        launcher = Launcher(services, keep_s=settings.limits.job_keep_h * 3600)
        app.router.default = _all_else(Gateway(dagster_url, session, web_trouble))
        looking_after = asyncio.gather(launcher.look_after(), projection.look_after(), services.reports.look_after())
        # What was made so far stays: collections need not look at it, which halves the slowest answers.
        gc.freeze()
        try:
            yield {
                "services": services,
                "launcher": launcher,
                "lookout": lookout,
                "figures": figures,
            }
        finally:
            looking_after.cancel()
            with suppress(asyncio.CancelledError):
                await looking_after
            await asyncio.gather(launcher.finish(), services.reports.finish())
            await figures.close()
            services.close()
            database.close()


def _all_else(gateway: Gateway) -> ASGIApp:
    """Answer what is below the API's prefix and no route of it, which Dagster would answer with a page."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        path = normal_path(scope["path"])
        if scope["type"] == "http" and (path == PREFIX or path.startswith(f"{PREFIX}/")):
            await problems.problem(404, f"there is no {path} here; see the reference of the REST API")(
                scope, receive, send
            )
        else:
            await gateway(scope, receive, send)

    return application
