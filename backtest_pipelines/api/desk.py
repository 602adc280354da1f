"""The desk where questions come in: one thread that gives what is kept and puts executions on record, many at once.

Redis has the answers to eight questions in little more time than that to one, a commit takes as long for many rows, and
so does the way between threads, so that under load each costs a fraction. An answer leaves after its row is on record,
and a commit that failed fails every answer that waits for it.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from backtest_pipelines.api.opened_workspace import OpenedWorkspace
from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.executions.log import log_execution
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.records.executions import Execution, ExecutionRecords
from backtest_pipelines.strategies.question import Question

if TYPE_CHECKING:
    from backtest_pipelines.executions.serve import Served

AT_ONCE: Final = 32
"""Answers that Redis gives at once, and rows of one commit, which hold up others for a few milliseconds."""


@dataclass(frozen=True, slots=True)
class Given:
    """An answer on record.

    Attributes
    ----------
    execution_id : int
    row : Execution
    json : bytes
        See `backtest_pipelines.executions.rendering.Rendered`.
    """

    execution_id: int
    row: Execution
    json: bytes


@dataclass(frozen=True, slots=True)
class _Asked:
    request: ExecutionRequest
    question: Question
    done: asyncio.Future[Given | None]


@dataclass(frozen=True, slots=True)
class _Served:
    served: Served
    done: asyncio.Future[Any]


_Outcomes: TypeAlias = "list[tuple[asyncio.Future[Any], Given | Exception | None]]"


class Desk:
    """One thread for callers in the event loop that is running.

    Parameters
    ----------
    workspace : OpenedWorkspace
    records : ExecutionRecords
    """

    def __init__(self, workspace: OpenedWorkspace, records: ExecutionRecords) -> None:
        self._workspace = workspace
        self._records = records
        self._loop = asyncio.get_running_loop()
        self._waiting: queue.SimpleQueue[_Asked | _Served | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="desk", daemon=True)
        self._thread.start()

    async def kept(self, request: ExecutionRequest, question: Question) -> Given | None:
        """Return the answer to a question where it is kept, or None where it is to be computed.

        Raises
        ------
        MissingDataError, BadDataError
            If the data was not ingested, or is damaged.
        UnavailableError
            If the answer is not on record, since the database is locked, full, read-only, or does not answer.
        """
        done: asyncio.Future[Given | None] = self._loop.create_future()
        self._waiting.put(_Asked(request, question, done))
        return await done

    async def record(self, served: Served) -> Given:
        """Put an answer on record.

        Raises
        ------
        UnavailableError
            As `kept`.
        """
        done: asyncio.Future[Given] = self._loop.create_future()
        self._waiting.put(_Served(served, done))
        return await done

    def close(self) -> None:
        """Do what waits, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _work(self) -> None:
        is_open = True
        while is_open:
            batch: list[_Asked | _Served] = []
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
                self._do(batch)

    def _do(self, batch: list[_Asked | _Served]) -> None:
        served = [waiting for waiting in batch if isinstance(waiting, _Served)]
        told: _Outcomes = []
        for done, found in self._looked_up([waiting for waiting in batch if isinstance(waiting, _Asked)]):
            if found is None or isinstance(found, Exception):
                told.append((done, found))
            else:
                served.append(_Served(found, done))
        if served:
            told += self._recorded(served)
        self._loop.call_soon_threadsafe(_tell, told)
        for _, outcome in told:
            if isinstance(outcome, Given):
                log_execution(outcome.row, outcome.execution_id)

    def _looked_up(self, asked: list[_Asked]) -> list[tuple[asyncio.Future[Any], Served | Exception | None]]:
        if not asked:
            return []
        try:
            from backtest_pipelines.executions.serve import serve_found  # noqa: PLC0415 - see `OpenedWorkspace`

            found = serve_found([(each.request, each.question) for each in asked], self._workspace.get())
        except Exception as error:  # noqa: BLE001 - whatever it is, each caller must hear of it
            return [(each.done, error) for each in asked]
        return list(zip((each.done for each in asked), found, strict=True))

    def _recorded(self, served: list[_Served]) -> _Outcomes:
        try:
            ids = self._records.insert_all([each.served.row for each in served])
        except Exception as error:  # noqa: BLE001 - as above
            # Each gets an error of its own: one that is raised in several tasks collects the tracebacks of all.
            return [(each.done, UnavailableError(f"the execution is not on record: {error}")) for each in served]
        return [
            (each.done, Given(execution_id, each.served.row, each.served.answer.json))
            for each, execution_id in zip(served, ids, strict=True)
        ]


def _tell(outcomes: _Outcomes) -> None:
    for done, outcome in outcomes:
        if done.done():  # the caller hung up
            continue
        if isinstance(outcome, Exception):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)
