"""What fails again and again is said once, and once more when it is over."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from backtest_pipelines.errors import BacktestError


class Trouble:
    """Says of something that fails with each request, or each second, that it does, and that it does no more.

    Parameters
    ----------
    logger : logging.Logger
    what : str
        The sentence for it, which the reason follows.
    over : str
        The sentence for its end.
    """

    def __init__(self, logger: logging.Logger, what: str, over: str) -> None:
        self._logger = logger
        self._what = what
        self._over = over
        self._reason = ""

    def note(self, reason: str) -> None:
        """Log what is new: another reason than the last one, or none any more, which is the empty one."""
        if reason != self._reason:
            self._reason = reason
            self._logger.warning("%s", f"{self._what}: {reason}" if reason else self._over)

    def note_bug(self, error: Exception) -> None:
        """Log an error that cannot happen with its place, each time."""
        self._logger.error("%s", self._what, exc_info=error)


async def again_and_again(
    step: Callable[[], Awaitable[str]], trouble: Trouble, pause_s: Callable[[float], float]
) -> None:
    """Do something for ever, whatever fails.

    Parameters
    ----------
    step : callable
        Returns why a part of it cannot be done just now, or nothing.
    trouble : Trouble
        What is said where it fails.
    pause_s : callable
        The pause after a step that took so many seconds.
    """
    while True:
        start = time.monotonic()
        try:
            trouble.note(await step())
        except BacktestError as error:
            trouble.note(str(error))
        except Exception as error:  # noqa: BLE001 - it is said, and what is done for ever goes on
            trouble.note_bug(error)
        await asyncio.sleep(pause_s(time.monotonic() - start))
