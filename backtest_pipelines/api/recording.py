"""Puts executions on record for a server that answers many at once: what waits is committed together.

A commit takes as long for fifty rows as for one, so that under load each costs a fraction. An answer leaves after its
row is on record, and a commit that failed fails every answer that waits for it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import Final

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.executions.log import log_execution
from backtest_pipelines.records.executions import Execution, ExecutionRecords

AT_ONCE: Final = 200
"""Rows of one commit: it holds up other writers for a few milliseconds."""

_Waiting = tuple[Execution, "asyncio.Future[int]"]


class Recorder:
    """One thread that writes rows, for callers in the event loop that is running.

    Parameters
    ----------
    records : ExecutionRecords
    """

    def __init__(self, records: ExecutionRecords) -> None:
        self._records = records
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="recorder", daemon=True)
        self._thread.start()

    async def record(self, execution: Execution) -> int:
        """Put one execution on record and return its id.

        Raises
        ------
        UnavailableError
            If the database is locked, full, read-only, or does not answer.
        """
        written: asyncio.Future[int] = self._loop.create_future()
        self._waiting.put((execution, written))
        return await written

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _write(self) -> None:
        is_open = True
        while is_open:
            batch: list[_Waiting] = []
            while is_open and len(batch) < AT_ONCE:
                try:
                    waiting = self._waiting.get(block=not batch)
                except queue.Empty:
                    break
                if waiting is None:
                    is_open = False
                else:
                    batch.append(waiting)
            if batch:
                self._commit(batch)

    def _commit(self, batch: list[_Waiting]) -> None:
        try:
            ids = self._records.insert_all([execution for execution, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, each caller must hear of it
            self._loop.call_soon_threadsafe(_fail, batch, error)
            return
        self._loop.call_soon_threadsafe(_succeed, batch, ids)
        for (execution, _), execution_id in zip(batch, ids, strict=True):
            log_execution(execution, execution_id)


def _succeed(batch: list[_Waiting], ids: list[int]) -> None:
    for (_, written), execution_id in zip(batch, ids, strict=True):
        if not written.done():  # a caller may have hung up
            written.set_result(execution_id)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for _, written in batch:
        if not written.done():
            # Each gets an error of its own: one that is raised in several tasks collects the tracebacks of all.
            own = UnavailableError(f"the execution is not on record: {error}")
            own.__cause__ = error
            written.set_exception(own)
