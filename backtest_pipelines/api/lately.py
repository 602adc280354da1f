"""Values that take long to find, for those who look often: found beside the questions, every few seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

from backtest_pipelines.errors import BacktestError

logger = logging.getLogger(__name__)

EACH_S: Final = 5.0
"""Between two looks."""
GOES_ON_S: Final = 120.0
"""After the last question: whoever looks regularly, such as Prometheus, asks more often."""

T = TypeVar("T")


class Lately(Generic[T]):
    """A value of a few seconds ago, found again in the background as long as somebody asks.

    Parameters
    ----------
    find : callable
        Returns the value.
    what : str
        What it is, for the log.
    """

    def __init__(self, find: Callable[[], Awaitable[T]], what: str) -> None:
        self._find = find
        self._what = what
        self._beginning = asyncio.Lock()
        self._finding: asyncio.Task[None] | None = None
        self._found: list[T] = []
        self._asked_s = 0.0

    async def get(self) -> T:
        """Return the value. The first who asks waits for it, and is told why it cannot be found."""
        self._asked_s = time.monotonic()
        async with self._beginning:
            if not self._found:
                self._found = [await self._find()]
                self._finding = asyncio.create_task(self._go_on())
            return self._found[0]

    async def close(self) -> None:
        """Stop looking."""
        if self._finding is not None:
            self._finding.cancel()
            with suppress(asyncio.CancelledError):
                await self._finding

    async def _go_on(self) -> None:
        try:
            while time.monotonic() - self._asked_s < GOES_ON_S:
                await asyncio.sleep(EACH_S)
                self._found = [await self._find()]
        except BacktestError as error:
            logger.warning("%s is not known just now: %s", self._what, error)
        except Exception:
            logger.exception("a bug in finding %s", self._what)
        finally:
            self._found = []  # whoever asks next looks, or is told why that cannot be done
