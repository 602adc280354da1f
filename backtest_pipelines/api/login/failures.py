"""Counts the logins that failed, by address, so that guessing is answered briefly and does not fill the log."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Final

logger = logging.getLogger(__name__)

A_MINUTE: Final = 10
"""Failures that one address is told the reason of. A login that is right passes all the same: its 256 random bits keep
guesses out, and one program with an old token does not lock out the others behind its address."""
WINDOW_S: Final = 60.0


class Failures:
    """The failures of the current minute."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._ends_s = 0.0

    def note(self, address: str, reason: str) -> int | None:
        """Note and log a failure; return how many seconds the address has to wait, where it failed too often.

        Parameters
        ----------
        address : str
        reason : str
            Without what was sent.
        """
        now_s = time.monotonic()
        if now_s >= self._ends_s:
            self._counts.clear()
            self._ends_s = now_s + WINDOW_S
        self._counts[address] += 1
        count = self._counts[address]
        if count <= A_MINUTE:
            logger.warning("a login from %s failed: %s", address, reason)
            return None
        if count == A_MINUTE + 1:
            logger.warning("logins from %s fail again and again: no more of them are logged for a minute", address)
        return max(1, round(self._ends_s - now_s))
