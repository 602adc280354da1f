"""What keeps a child from writing to a run that is not its own any more.

A child that stood still may have lost its run. Whatever it writes to Dagster's storage goes through here: a claim that
was not renewed just now is, and a child whose claim was given away ends on the spot.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import dagster as dg

from backtest_pipelines.defs.failures import is_away
from backtest_pipelines.logs import log_context
from backtest_pipelines.records.claims import Claims
from backtest_pipelines.records.jobs import Job
from backtest_pipelines.service.dagster_private import (
    RETRY_ON_STEP_FAILURE_TAG,
    RETRY_STRATEGY_TAG,
    JobFailureData,
    RunFailureReason,
    StepFailureData,
)
from backtest_pipelines.service.ended_runs import ENDS
from backtest_pipelines.service.patience import patiently

logger = logging.getLogger(__name__)

FRESH_S = 1.5
"""A claim that was renewed less than this ago needs no look before an event is written."""
FENCED_STATUS = 70
"""Exit status of a child whose run was given away, or is to be."""
DATABASE_BACK_S = 30.0
"""So long is an event kept that the database does not take."""

_OF_A_STORAGE = frozenset({"OperationalError", "InterfaceError", "DatabaseError", "DagsterPostgresException"})
"""Names of the errors by which Dagster's storage says that it cannot reach its database."""


@dataclass
class Execution:
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
    can_be_stopped : Event
        Set while it is in code that a signal may interrupt.
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


class Fence:
    """Between a child and the storage of its instance, which is this process's alone.

    Parameters
    ----------
    instance : DagsterInstance
        Writes through the fence from now on.
    claims : Claims
    owner : str
        Name of the child in claims.

    Attributes
    ----------
    under_way : Execution or None
        What the child executes; without one, everything may be written.
    """

    def __init__(self, instance: dg.DagsterInstance, claims: Claims, owner: str) -> None:
        self._instance = instance
        self._claims = claims
        self._owner = owner
        self.under_way: Execution | None = None
        self._write_event = instance.handle_new_event
        self._write_status = instance.run_storage.handle_run_event
        instance.handle_new_event = self._write_event_if_ours  # type: ignore[method-assign]
        instance.run_storage.handle_run_event = self._write_status_if_ours  # type: ignore[method-assign]

    def _write_event_if_ours(self, event: dg.EventLogEntry, **keywords: Any) -> None:  # noqa: ANN401 - handed on
        """Write an event; where the database went away, again and again until it is back, for a while."""
        execution = self.under_way

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
            execution.is_over |= event.dagster_event.event_type in ENDS

    def _write_status_if_ours(
        self, run_id: str, event: dg.DagsterEvent, update_timestamp: datetime | None = None
    ) -> None:
        """Write the status that follows from an event: this process may have stood still since that was written."""
        self._be_sure_that_it_is_ours()
        self._write_status(run_id, event, update_timestamp)

    def _be_sure_that_it_is_ours(self) -> None:
        execution = self.under_way
        if execution is not None and time.monotonic() - execution.renewed_s > FRESH_S:
            self.renew(execution)

    def renew(self, execution: Execution) -> bool:
        """Renew the claim and return whether a cancel is wanted; end this process if the run is not ours any more."""
        seen_s = time.monotonic()
        cancel = self._claims.beat(execution.run_id, self._owner)
        if cancel is None and self.under_way is execution:
            logger.error("The run was given to another: this process ends")
            os._exit(FENCED_STATUS)
        execution.renewed_s = seen_s
        return bool(cancel)


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
