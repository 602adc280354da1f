"""The route that says what is up, for whoever sends requests here or watches over the service.

It needs no login, so it tells no more than that, and is worked out once a second at most.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from backtest_pipelines.api.projecting import Projection
from backtest_pipelines.api.services import Services
from backtest_pipelines.errors import BacktestError
from backtest_pipelines.graphql import documents, replies
from backtest_pipelines.records.workers import Workers

WITHIN_S: Final = 2.0
"""What takes longer to answer is down."""
REMEMBERED_S: Final = 1.0

State = Literal["up", "down"]


class Parts(BaseModel):
    """What an installation consists of."""

    database: State = Field(description="of executions and jobs; without it nothing is answered")
    redis: State = Field(description="without it answers come from files, and runs begin later")
    dagster: State = Field(description="its web server, with the definitions loaded; without it jobs wait")
    workers: State = Field(description="whether one shows itself; without one runs are started the slow way")
    projection: State = Field(description="whether runs that recorded nothing are put on record")


class Readiness(BaseModel):
    """Whether requests are answered, and what is up."""

    status: Literal["ready", "degraded", "unavailable"]
    parts: Parts


class Lookout:
    """Looks at what an installation consists of.

    Parameters
    ----------
    services : Services
    projection : Projection
    """

    def __init__(self, services: Services, projection: Projection) -> None:
        self._services = services
        self._projection = projection
        self._looking = asyncio.Lock()
        self._seen: Parts | None = None
        self._seen_s = 0.0

    async def parts(self) -> Parts:
        """Return what is up, as it was within the last second."""
        async with self._looking:
            if self._seen is None or time.monotonic() - self._seen_s > REMEMBERED_S:
                self._seen = await self._look()
                self._seen_s = time.monotonic()
            return self._seen

    async def _look(self) -> Parts:
        services = self._services
        database, redis, dagster, workers = await asyncio.gather(
            _state(services.call(_database_answers, services)),
            _state(services.call(_redis_answers, services)),
            _state(self._definitions_are_loaded()),
            _state(services.call(_workers_live, services)),
        )
        projection: State = "up" if self._projection.is_well else "down"
        return Parts(database=database, redis=redis, dagster=dagster, workers=workers, projection=projection)

    async def _definitions_are_loaded(self) -> bool:
        return replies.locations_are_loaded(await self._services.web.ask(documents.LOCATIONS))


async def _of_request(request: Request) -> Lookout:
    lookout: Lookout = request.state.lookout
    return lookout


WithLookout = Annotated[Lookout, Depends(_of_request)]
"""Type of a route's parameter that is given the look-out."""

router = APIRouter(tags=["health"])


@router.get("/ready", responses={503: {"model": Readiness, "description": "Nothing is answered"}})
async def ready(lookout: WithLookout, response: Response) -> Readiness:
    """Say whether requests are answered; 200 also where they are answered more slowly."""
    parts = await lookout.parts()
    if parts.database == "down":
        response.status_code = 503
        return Readiness(status="unavailable", parts=parts)
    is_whole = all(state == "up" for state in dict(parts).values())
    return Readiness(status="ready" if is_whole else "degraded", parts=parts)


async def _state(question: Awaitable[bool]) -> State:
    try:
        return "up" if await asyncio.wait_for(question, WITHIN_S) else "down"
    except (BacktestError, TimeoutError):
        return "down"


def _database_answers(services: Services) -> bool:
    with services.database.connection() as connection:
        return connection.execute("SELECT 1").all() == [(1,)]


def _redis_answers(services: Services) -> bool:
    return services.workspace.get().cache.health().available


def _workers_live(services: Services) -> bool:
    return bool(Workers(services.database).alive())
