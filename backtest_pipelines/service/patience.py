"""Doing again what failed because a database or another process is away just now."""

import logging
import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

logger = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 2.0

Done = TypeVar("Done")


def patiently(act: Callable[[], Done], may_pass: Callable[[Exception], bool], for_s: float) -> Done:
    """Do something, again and again with growing, jittered pauses while it fails by what may pass.

    Parameters
    ----------
    act : callable
        It may have had its effect, or a part of it, when it fails.
    may_pass : callable
        Says of an error whether it may pass.
    for_s : float
        Seconds after which the last error is raised.
    """
    deadline_s = time.monotonic() + for_s
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return act()
        except Exception as error:
            if not may_pass(error) or time.monotonic() > deadline_s:
                raise
            logger.warning("It is tried again: %s", error)
        time.sleep(pause_s * (0.5 + random.random()))  # noqa: S311 - no secret
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
