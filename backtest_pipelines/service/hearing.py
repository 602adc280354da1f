"""Whether a worker hears the bell: where Redis went away and came back, Celery now and then listens no more.

It was seen after Redis had been restarted and stopped several times: the worker had its connection, and asked for
nothing on it. All else was well, so that nobody restarted it, and bells piled up beside idle children.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Final, Protocol

from backtest_pipelines.records.workers import Workers
from backtest_pipelines.service.supervisor.sessions import children_in_session

logger = logging.getLogger(__name__)

DEAF_AFTER_S: Final = 4.0
"""A bell that waits for so long beside an idle child is not heard."""
FRESH_BEAT_S: Final = 2.0


class Hub(Protocol):
    """Celery's event loop."""

    def call_soon(self, callback: object) -> object:
        """Call something in the loop's thread."""


class Consumer(Protocol):
    """What Celery hears bells with."""

    hub: Hub


class Hearing:
    """Notes what is heard, and has the worker connect anew where bells wait that it does not hear.

    Parameters
    ----------
    consumer : Consumer
    workers : Workers
    """

    def __init__(self, consumer: Consumer, workers: Workers) -> None:
        self._consumer = consumer
        self._workers = workers
        self._well_s = time.monotonic()

    def heard(self, **_: object) -> None:
        """Note that a bell was heard; a receiver of Celery's signal."""
        self._well_s = time.monotonic()

    def check(self, waiting: int) -> None:
        """Look after the connection, while so many bells wait.

        Raises
        ------
        UnavailableError
            If the database does not answer.
        """
        if waiting == 0:
            self._well_s = time.monotonic()
        elif time.monotonic() - self._well_s > DEAF_AFTER_S and self._a_child_is_idle():
            logger.warning("%d bells wait beside an idle child: the worker connects to the broker anew", waiting)
            self._well_s = time.monotonic()
            self._consumer.hub.call_soon(_lose_connection)

    def _a_child_is_idle(self) -> bool:
        own = children_in_session(self._workers.alive(FRESH_BEAT_S), os.getsid(0))
        return any(child.run_id is None for child in own)


def _lose_connection() -> None:
    """End the loop in the way that Celery answers by a new connection."""
    msg = "bells are not heard on this connection"
    raise ConnectionResetError(msg)
