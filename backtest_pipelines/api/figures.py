"""What metrics tell that takes too long to find for each who reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from backtest_pipelines.api.lately import Lately
from backtest_pipelines.api.readiness import Lookout
from backtest_pipelines.api.services import Services

if TYPE_CHECKING:
    from backtest_pipelines.executions.cache import Held


class Figures:
    """What the cache holds, and what is up, as of a few seconds ago.

    Parameters
    ----------
    services : Services
    lookout : Lookout

    Attributes
    ----------
    held : Lately of Held
    parts : Lately of Parts
    """

    def __init__(self, services: Services, lookout: Lookout) -> None:
        async def held() -> Held:
            return await services.call(_held, services)

        self.held = Lately(held, "what the cache holds")
        self.parts = Lately(lookout.parts, "what is up")

    async def close(self) -> None:
        """Stop looking."""
        await self.held.close()
        await self.parts.close()


def _held(services: Services) -> Held:
    return services.workspace.get().cache.held()


async def _of_request(request: Request) -> Figures:
    figures: Figures = request.state.figures
    return figures


WithFigures = Annotated[Figures, Depends(_of_request)]
"""Type of a route's parameter that is given the figures."""
