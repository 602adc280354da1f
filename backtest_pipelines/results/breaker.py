"""A breaker: what failed three times in a row is left alone, and tried again by one caller a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

FAILURES: Final = 3
"""In a row, after which it opens."""
PROBE_S: Final = 1.0
"""Between the tries while it is open."""


class Breaker:
    """Says whether a call is worth its wait. Closed at first; safe to share between threads.

    Parameters
    ----------
    clock : Callable[[], float]
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._is_open = False
        self._failures = 0
        self._next_probe_s = 0.0
        self._state = 0  # grows with each opening and closing: tells late news from new ones

    def enter(self) -> int | None:
        """Return the state that a call begins in, or None where it shall not be made."""
        with self._lock:
            if self._is_open:
                now_s = self._clock()
                if now_s < self._next_probe_s:
                    return None
                self._next_probe_s = now_s + PROBE_S  # the others stay away while this call tries
            return self._state

    def failed(self, state: int) -> bool:
        """Note that a call begun in that state failed; return whether that opened the breaker."""
        with self._lock:
            if state != self._state:
                return False
            self._failures += 1
            if self._is_open or self._failures < FAILURES:
                return False
            self._turn(is_open=True)
            self._next_probe_s = self._clock() + PROBE_S
            return True

    def succeeded(self, state: int) -> bool:
        """Note that a call begun in that state succeeded; return whether that closed the breaker."""
        with self._lock:
            if state != self._state:
                return False
            self._failures = 0
            if not self._is_open:
                return False
            self._turn(is_open=False)
            return True

    def _turn(self, *, is_open: bool) -> None:
        self._is_open = is_open
        self._state += 1
