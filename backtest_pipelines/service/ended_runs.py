"""Runs that have ended, and whose status does not say so.

Dagster writes an event and the status that follows from it one after the other, and a status over any other. So a
process that died in between leaves a run that seems to go on; one that stood still in between, or a cancel that came
with the end, sets the status of a run back that has ended meanwhile. The log keeps what is true: its end is reported
once more, and all that follows from an end follows from that.
"""

from __future__ import annotations

import logging
import time

import dagster as dg

from backtest_pipelines.records.claims import LEASE_S, Claims

logger = logging.getLogger(__name__)

ENDS = {dg.DagsterEventType.RUN_SUCCESS, dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_CANCELED}
"""Events of which a run has one, at its end."""


def report_end_again(instance: dg.DagsterInstance, run_id: str, since_s: float = 0.0) -> bool:
    """Report the end that the log of a run tells, where its status does not; return whether the run has ended.

    Parameters
    ----------
    instance : DagsterInstance
    run_id : str
        Of a run that no process may write to: its claim is not held.
    since_s : float
        For so long at least must the log have told it.
    """
    run = instance.get_run_by_id(run_id)
    if run is None or run.is_finished:
        return True
    ends = instance.get_records_for_run(run_id, of_type=ENDS, limit=1, ascending=False).records
    if not ends or time.time() - ends[0].timestamp < since_s:
        return False
    logger.warning("Run %s was %s, and its log tells its end", run_id, run.status.value)
    instance.report_dagster_event(ends[0].event_log_entry.get_dagster_event(), run_id)
    return True


def settle(instance: dg.DagsterInstance, claims: Claims, run_id: str) -> None:
    """End a run that nobody executes and nobody may: it has ended, or was cancelled by one who did not come to say so.

    Parameters
    ----------
    instance : DagsterInstance
    claims : Claims
    run_id : str
        Of a run whose status is not an end. One that is claimed, or that can be, stays as it is.
    """
    claim = claims.get(run_id)
    if claim is None or claim.state == "held":
        return
    # A claim is done once the status was written; who took one away, or withheld it, may be about to write it.
    if report_end_again(instance, run_id, 0.0 if claim.state == "done" else LEASE_S):
        return
    run = instance.get_run_by_id(run_id)
    if run is not None and claim.state == "cancelled" and claim.beat_age_s > LEASE_S:
        instance.report_run_canceled(run, message="Cancelled while no worker had it.")
