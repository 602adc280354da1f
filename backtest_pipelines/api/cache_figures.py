"""What the cache holds, for metrics: counting takes long where there is much, so it is done beside the questions."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import Depends, Request

from backtest_pipelines.api.services import Services
from backtest_pipelines.errors import BacktestError

if TYPE_CHECKING:
    from backtest_pipelines.executions.cache import Held

logger = logging.getLogger(__name__)

EACH_S: Final = 5.0
"""Between two counts."""
GOES_ON_S: Final = 120.0
"""After the last question; whoever asks regularly, such as Prometheus, does so more often."""


class CacheFigures:
    """What the cache holds, counted every few seconds as long as somebody asks.

    Parameters
    ----------
    services : Services
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._beginning = asyncio.Lock()
        self._counting: asyncio.Task[None] | None = None
        self._held: Held | None = None
        self._asked_s = 0.0

    async def held(self) -> Held:
        """Return what the cache held a few seconds ago; the first who asks waits for the count.

        Raises
        ------
        UnavailableError
            If the database does not answer.
        """
        self._asked_s = time.monotonic()
        async with self._beginning:
            if self._held is None:
                self._held = await self._count()
                self._counting = asyncio.create_task(self._go_on())
            return self._held

    async def close(self) -> None:
        """Stop counting."""
        if self._counting is not None:
            self._counting.cancel()
            with suppress(asyncio.CancelledError):
                await self._counting

    async def _go_on(self) -> None:
        try:
            while time.monotonic() - self._asked_s < GOES_ON_S:
                await asyncio.sleep(EACH_S)
                self._held = await self._count()
        except BacktestError as error:
            logger.warning("what the cache holds cannot be counted just now: %s", error)
        except Exception:
            logger.exception("a bug in counting what the cache holds")
        finally:
            self._held = None  # whoever asks next counts, or is told why that cannot be done

    async def _count(self) -> Held:
        return await self._services.call(self._count_now)

    def _count_now(self) -> Held:
        return self._services.workspace.get().cache.held()


def _of_request(request: Request) -> CacheFigures:
    figures: CacheFigures = request.state.cache_figures
    return figures


WithCacheFigures = Annotated[CacheFigures, Depends(_of_request)]
"""Type of a route's parameter that is given the figures."""
