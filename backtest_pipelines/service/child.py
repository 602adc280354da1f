"""A worker's child: claims a run, executes it in this process, shows signs of life, and stops where it must.

One thread executes, another one beats: it renews the claim, sees that a cancel is wanted or a limit is passed, and
turns both into a signal for the first. A child whose claim was given away while it stood still ends at once.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from types import FrameType
from typing import Any

import dagster as dg

from backtest_pipelines.defs.failures import cancelled, failure, is_away
from backtest_pipelines.errors import BacktestError, TimeLimitError
from backtest_pipelines.executions.settings import Limits
from backtest_pipelines.graphql.names import JOB_ID_TAG
from backtest_pipelines.logs import log_context
from backtest_pipelines.records.claims import Admission, Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.jobs import Job, JobRecords
from backtest_pipelines.records.workers import Workers
from backtest_pipelines.service.admission import claim_next
from backtest_pipelines.service.bell import Bell
from backtest_pipelines.service.dagster_private import (
    MAX_RETRIES_TAG,
    RETRY_ON_STEP_FAILURE_TAG,
    RETRY_STRATEGY_TAG,
    JobFailureData,
    RunFailureReason,
    StepFailureData,
    capture_interrupts,
    execute_run,
    in_code_of_a_step,
)
from backtest_pipelines.service.launcher import ATTEMPTS
from backtest_pipelines.service.patience import patiently

logger = logging.getLogger(__name__)

BEAT_S = 0.5
SHOW_S = 1.0
"""An idle child shows itself so often."""
FRESH_S = 1.5
"""A claim that was renewed less than this ago needs no look before an event is written."""
INSIST_S = 5.0
"""A run that goes on after it was told to stop is told again."""
FENCED_STATUS = 70
"""Exit status of a child whose run was given away, or is to be."""
DATABASE_BACK_S = 30.0
"""So long is an event kept that the database does not take."""
KEEP_CLAIMS_S = 7 * 86_400.0
KEEP_WORKERS_S = 86_400.0

_LAST_EVENTS = (dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED)

_OF_A_STORAGE = frozenset({"OperationalError", "InterfaceError", "DatabaseError", "DagsterPostgresException"})
"""Names of the errors by which Dagster's storage says that it cannot reach its database."""


@dataclass
class _Execution:
    """The run under way.

    Attributes
    ----------
    run_id : str
    started_s, renewed_s : float
        Monotonic times of the claim, and of the last time that it was seen to be ours.
    stopped_s : float or None
        When it was last told to stop.
    stop : Failure or None
        What is raised in its step to stop it. No retry policy heeds it, while an interrupt it would.
    is_over : bool
        Whether its last event was written.
    job : Job or None
        That it answers.
    """

    run_id: str
    started_s: float
    renewed_s: float
    stopped_s: float | None = None
    stop: dg.Failure | None = None
    is_over: bool = False
    job: Job | None = None
    can_be_stopped: threading.Event = field(default_factory=threading.Event)

    def logs(self) -> AbstractContextManager[None]:
        """Let the lines of this thread carry the ids of the run, its job, and the execution set aside for the job."""
        if self.job is None:
            return log_context(run_id=self.run_id)
        return log_context(run_id=self.run_id, job_id=self.job.job_id, execution_id=self.job.execution_id)


class Child:
    """What one process of a worker does.

    Parameters
    ----------
    instance : DagsterInstance
        Opened in this process.
    database : Database
    limits : Limits
    bell : Bell
    """

    def __init__(self, instance: dg.DagsterInstance, database: Database, limits: Limits, bell: Bell) -> None:
        self._instance = instance
        self._limits = limits
        self._bell = bell
        self._claims = Claims(database)
        self._admission = Admission(database)
        self._workers = Workers(database)
        self._jobs = JobRecords(database)
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{time.time_ns()}"
        self._under_way: _Execution | None = None
        self._write_event = instance.handle_new_event
        self._write_status = instance.run_storage.handle_run_event
        # The instance of this process alone: its writes go through the fence.
        instance.handle_new_event = self._write_event_if_ours  # type: ignore[method-assign]
        instance.run_storage.handle_run_event = self._write_status_if_ours  # type: ignore[method-assign]
        self._claims.prune(KEEP_CLAIMS_S)
        self._workers.prune(KEEP_WORKERS_S)

    def start(self) -> None:
        """Show the first sign of life and begin to beat."""
        self._show()
        threading.Thread(target=self._beat, name="beat", daemon=True).start()

    def leave(self) -> None:
        """Say that this child is no more."""
        self._workers.leave(self._owner)

    def hear(self) -> None:
        """Execute the run that is to start next, if there is one, then let the next bell ring."""
        heard_s = time.monotonic()  # before the claim: standing still in between must not count as a renewal
        claimed = claim_next(self._instance, self._claims, self._admission, self._owner)
        if claimed is None:
            return
        run_id = claimed.run.run_id
        self._under_way = execution = _Execution(run_id, heard_s, heard_s)
        with log_context(run_id=run_id):
            try:
                execution.job = self._job_of(claimed.run)
                with execution.logs():
                    if self._may_begin(run_id):
                        self._execute(execution)
            finally:
                self._under_way = None
                if execution.is_over:
                    self._claims.release(run_id, self._owner)
                # Otherwise its end could not be written: the claim gets stale, and the run is tried again.
        if claimed.others_wait:
            self._bell.ring()

    def _may_begin(self, run_id: str) -> bool:
        """Report the start, unless the run was cancelled since, or loses its worker each time."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            self._claims.release(run_id, self._owner)
            return False
        if run.status == dg.DagsterRunStatus.CANCELING or not self._is_wanted(run):
            self._instance.report_run_canceled(run)
            return False
        claim = self._claims.get(run_id)
        if claim is not None and claim.deaths >= ATTEMPTS:
            self._instance.add_run_tags(run_id, {MAX_RETRIES_TAG: "0"})
            self._instance.report_run_failed(
                run, f"WorkerLostError: it lost its worker {claim.deaths} times before it began and is not tried again"
            )
            return False
        if run.status == dg.DagsterRunStatus.QUEUED:
            event = dg.DagsterEvent(
                event_type_value=dg.DagsterEventType.PIPELINE_STARTING.value,
                job_name=run.job_name,
                message=f"Claimed by {self._owner}.",
            )
            self._instance.report_dagster_event(event, run_id=run_id)
        return True

    def _job_of(self, run: dg.DagsterRun) -> Job | None:
        """Return the job that the run answers: a user's own re-execution has its tag, and answers none."""
        job_id = run.tags.get(JOB_ID_TAG)
        return None if job_id is None else self._jobs.of_run(job_id, run.run_id)

    def _is_wanted(self, run: dg.DagsterRun) -> bool:
        """Say whether the run is still the one of its job: a web server that stood still may have queued it late."""
        job_id = run.tags.get(JOB_ID_TAG)
        if job_id is None or run.parent_run_id is not None:
            return True
        job = self._jobs.get(job_id)
        return job is None or job.run_id == run.run_id

    def _execute(self, execution: _Execution) -> None:
        with _signals(execution), capture_interrupts():
            execution.can_be_stopped.set()
            execute_run(execution.run_id, self._instance, lambda _event: None, set_exit_code_on_failure=False)
            execution.can_be_stopped.clear()

    def _write_event_if_ours(self, event: dg.EventLogEntry, **keywords: Any) -> None:  # noqa: ANN401 - handed on
        """Write an event; where the database went away, again and again until it is back, for a while."""
        execution = self._under_way

        def write() -> None:
            self._be_sure_that_it_is_ours()
            if tags := _retry_tags(event.dagster_event):
                self._instance.add_run_tags(event.run_id, tags)
            self._write_event(event, **keywords)

        try:
            patiently(write, is_away, DATABASE_BACK_S)
        except Exception as error:
            if execution is None or not is_away(error):
                raise
            # Raised, it would be a failure of the step, which Dagster does not try again.
            logger.exception("The database stays away: this process ends, and its run is tried again")
            os._exit(FENCED_STATUS)
        if execution is not None and event.run_id == execution.run_id and event.dagster_event is not None:
            execution.is_over |= event.dagster_event.event_type in _LAST_EVENTS

    def _write_status_if_ours(
        self, run_id: str, event: dg.DagsterEvent, update_timestamp: datetime | None = None
    ) -> None:
        """Write the status that follows from an event: this process may have stood still since that was written."""
        self._be_sure_that_it_is_ours()
        self._write_status(run_id, event, update_timestamp)

    def _be_sure_that_it_is_ours(self) -> None:
        execution = self._under_way
        if execution is not None and time.monotonic() - execution.renewed_s > FRESH_S:
            self._renew(execution)

    def _renew(self, execution: _Execution) -> bool:
        """Renew the claim and return whether a cancel is wanted; end this process if the run is not ours any more."""
        seen_s = time.monotonic()
        cancel = self._claims.beat(execution.run_id, self._owner)
        if cancel is None and self._under_way is execution:
            logger.error("The run was given to another: this process ends")
            os._exit(FENCED_STATUS)
        execution.renewed_s = seen_s
        return bool(cancel)

    def _beat(self) -> None:
        shown_s = 0.0
        while True:
            time.sleep(BEAT_S)
            execution = self._under_way
            with nullcontext() if execution is None else execution.logs():
                try:
                    if execution is not None:
                        self._look_after(execution)
                    if time.monotonic() - shown_s >= SHOW_S:
                        self._show()
                        shown_s = time.monotonic()
                except (BacktestError, OSError) as error:
                    logger.warning("No beat: %s", error)
                except Exception:  # without this thread no run could be kept
                    logger.exception("No beat")

    def _show(self) -> None:
        execution = self._under_way
        self._workers.show(self._owner, socket.gethostname(), os.getpid(), execution.run_id if execution else None)

    def _look_after(self, execution: _Execution) -> None:
        cancel = self._renew(execution)
        now_s = time.monotonic()
        too_long = now_s - execution.started_s > self._limits.soft_limit_s
        told = execution.stopped_s is not None and now_s - execution.stopped_s < INSIST_S
        if not (cancel or too_long) or told or not execution.can_be_stopped.is_set():
            return
        execution.stop = self._stop_for_cancel(execution) if cancel else self._stop_for_time(execution)
        execution.stopped_s = now_s
        if execution.can_be_stopped.is_set():
            os.kill(os.getpid(), signal.SIGUSR1)

    def _stop_for_cancel(self, execution: _Execution) -> dg.Failure:
        run = self._instance.get_run_by_id(execution.run_id)
        if run is not None and run.status != dg.DagsterRunStatus.CANCELING and not run.is_finished:
            # The start was reported after the cancel: its end would count as a failure.
            self._instance.report_run_canceling(run)
        return cancelled()

    def _stop_for_time(self, execution: _Execution) -> dg.Failure:
        self._instance.add_run_tags(execution.run_id, {MAX_RETRIES_TAG: "0"})
        limit = f"the soft limit of {self._limits.soft_limit_s} s"
        return failure(TimeLimitError(f"the run took longer than {limit} and was stopped"))


def _retry_tags(event: dg.DagsterEvent | None) -> Mapping[str, str]:
    """Return what lets Dagster try a run again that failed as its own storage was away."""
    if event is None:
        return {}
    data = event.event_specific_data
    if isinstance(data, JobFailureData) and data.failure_reason != RunFailureReason.STEP_FAILURE:
        return {RETRY_STRATEGY_TAG: "ALL_STEPS"}  # it could not go on from the failed step, where there is none
    # What the code of a step raises is wrapped in an error of Dagster's.
    if isinstance(data, StepFailureData) and data.error is not None and data.error.cls_name in _OF_A_STORAGE:
        return {RETRY_ON_STEP_FAILURE_TAG: "true"}
    return {}


@contextmanager
def _signals(execution: _Execution) -> Iterator[None]:
    """Let the beat's signal stop the run, and put Celery's handlers back afterwards."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        if not execution.can_be_stopped.is_set() or execution.stop is None:
            return
        if in_code_of_a_step():
            raise execution.stop
        os.kill(os.getpid(), signal.SIGINT)  # Dagster heeds it where it can

    ours: dict[signal.Signals, Callable[[int, FrameType | None], object] | signal.Handlers] = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGUSR1: stop,
        signal.SIGTERM: signal.SIG_IGN,
    }
    before = {number: signal.signal(number, handler) for number, handler in ours.items()}
    try:
        yield
    finally:
        execution.can_be_stopped.clear()
        for number, handler in before.items():
            signal.signal(number, handler)
