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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

import dagster as dg

from backtest_pipelines.defs.failures import cancelled, failure
from backtest_pipelines.errors import BacktestError, TimeLimitError
from backtest_pipelines.executions.settings import Limits
from backtest_pipelines.graphql.names import JOB_ID_TAG
from backtest_pipelines.logs import log_context
from backtest_pipelines.records.claims import Admission, Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.jobs import JobRecords
from backtest_pipelines.records.workers import Workers
from backtest_pipelines.service.admission import claim_next
from backtest_pipelines.service.bell import Bell
from backtest_pipelines.service.dagster_private import (
    MAX_RETRIES_TAG,
    capture_interrupts,
    execute_run,
    in_code_of_a_step,
)
from backtest_pipelines.service.fence import Execution, Fence
from backtest_pipelines.service.launcher import ATTEMPTS

logger = logging.getLogger(__name__)

BEAT_S = 0.5
SHOW_S = 1.0
"""An idle child shows itself so often."""
INSIST_S = 5.0
"""A run that goes on after it was told to stop is told again."""
KEEP_CLAIMS_S = 7 * 86_400.0
KEEP_WORKERS_S = 86_400.0


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
        self._fence = Fence(instance, self._claims, self._owner)
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
        run, run_id = claimed.run, claimed.run.run_id
        self._fence.under_way = execution = Execution(run_id, heard_s, heard_s)
        with log_context(run_id=run_id):
            try:
                job = self._jobs.get(run.tags[JOB_ID_TAG]) if JOB_ID_TAG in run.tags else None
                # A user's own re-execution has the tag, too, and answers no job.
                execution.job = job if job is not None and job.run_id == run_id else None
                # A web server that stood still may have queued a run late, whose job has another one by then.
                is_wanted = job is execution.job or run.parent_run_id is not None
                with execution.logs():
                    if self._may_begin(run_id, is_wanted=is_wanted):
                        self._execute(execution)
            finally:
                self._fence.under_way = None
                if execution.is_over:
                    self._claims.release(run_id, self._owner)
                # Otherwise its end could not be written: the claim gets stale, and the run is tried again.
        if claimed.others_wait:
            self._bell.ring()

    def _may_begin(self, run_id: str, *, is_wanted: bool) -> bool:
        """Report the start, unless the run is not wanted any more, or loses its worker each time."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            self._claims.release(run_id, self._owner)
            return False
        if run.status == dg.DagsterRunStatus.CANCELING or not is_wanted:
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

    def _execute(self, execution: Execution) -> None:
        with _signals(execution), capture_interrupts():
            execution.can_be_stopped.set()
            execute_run(execution.run_id, self._instance, lambda _event: None, set_exit_code_on_failure=False)
            execution.can_be_stopped.clear()

    def _beat(self) -> None:
        shown_s = 0.0
        while True:
            time.sleep(BEAT_S)
            execution = self._fence.under_way
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
        execution = self._fence.under_way
        self._workers.show(self._owner, socket.gethostname(), os.getpid(), execution.run_id if execution else None)

    def _look_after(self, execution: Execution) -> None:
        cancel = self._fence.renew(execution)
        now_s = time.monotonic()
        too_long = now_s - execution.started_s > self._limits.soft_limit_s
        told = execution.stopped_s is not None and now_s - execution.stopped_s < INSIST_S
        if not (cancel or too_long) or told or not execution.can_be_stopped.is_set():
            return
        execution.stop = self._stop_for_cancel(execution) if cancel else self._stop_for_time(execution)
        execution.stopped_s = now_s
        if execution.can_be_stopped.is_set():
            os.kill(os.getpid(), signal.SIGUSR1)

    def _stop_for_cancel(self, execution: Execution) -> dg.Failure:
        run = self._instance.get_run_by_id(execution.run_id)
        if run is not None and run.status != dg.DagsterRunStatus.CANCELING and not run.is_finished:
            # The start was reported after the cancel: its end would count as a failure.
            self._instance.report_run_canceling(run)
        return cancelled()

    def _stop_for_time(self, execution: Execution) -> dg.Failure:
        self._instance.add_run_tags(execution.run_id, {MAX_RETRIES_TAG: "0"})
        limit = f"the soft limit of {self._limits.soft_limit_s} s"
        return failure(TimeLimitError(f"the run took longer than {limit} and was stopped"))


@contextmanager
def _signals(execution: Execution) -> Iterator[None]:
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
