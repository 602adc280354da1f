"""The run coordinator: Dagster's queue, a bell for idle workers, and a cancel that works in every state."""

from __future__ import annotations

import os
import threading
from functools import cached_property

import dagster as dg

from backtest_pipelines.defs.failures import is_away
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.graphql.names import JOB_ID_TAG, answers_job
from backtest_pipelines.records.claims import Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.jobs import JobRecords
from backtest_pipelines.records.workers import Workers
from backtest_pipelines.service.bell import Bell, celery_app
from backtest_pipelines.service.dagster_private import (
    DEQUEUER_THREAD,
    RunQueueConfig,
    quicken_run_files,
    replace_lost_connections,
    retry_runs_patiently,
    silence_the_dequeuer,
)
from backtest_pipelines.service.launcher import WITHOUT_WORKER_S
from backtest_pipelines.service.patience import patiently

PATIENCE_S = 60.0
"""So long is the retry of a run launched again where that fails."""


class BellCoordinator(dg.QueuedRunCoordinator[dg.DagsterInstance]):
    """Queues a run, attaches it to the job that asked for it, and rings.

    Its settings come from the environment when the first run is submitted.
    """

    @cached_property
    def _database(self) -> Database:
        return Database(settings_from(os.environ).database)

    @cached_property
    def _bell(self) -> Bell:
        return Bell(celery_app(settings_from(os.environ)))

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Note whose coordinator this is, and adapt what Dagster does in this process to it."""
        super().register_instance(instance)
        quicken_run_files(instance)
        replace_lost_connections(instance)
        retry_runs_patiently(PATIENCE_S)
        silence_the_dequeuer()

    def get_run_queue_config(self) -> RunQueueConfig:
        """Return the limits; to the daemon's dequeuer, while workers live, that nothing may start.

        The dequeuer reads a run as queued and then reports its start: by then a worker may have claimed it, or even
        ended it, or it may be cancelled, and its status would go back to starting for ever.
        """
        config = super().get_run_queue_config()
        if threading.current_thread().name == DEQUEUER_THREAD and Workers(self._database).alive(WITHOUT_WORKER_S):
            return config._replace(max_concurrent_runs=0)
        return config

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Queue a run, or cancel it at once where the job that it is for has another one, or was cancelled."""
        run = context.dagster_run
        if not self._is_wanted(run):
            message = "The job that it is for has a run already, or was cancelled."
            self._instance.report_run_canceling(run, message=message)
            self._instance.report_run_canceled(run)
            return run
        queued = super().submit_run(context)
        self._bell.ring()
        return queued

    def cancel_run(self, run_id: str) -> bool:
        """Cancel a run that waits, at once, or one that is under way, by its worker."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        if Claims(self._database).withhold(run_id):
            self._instance.report_run_canceling(run, message="Cancelled while no worker had it.")
            self._instance.report_run_canceled(run)
            return True
        return bool(self._instance.run_launcher.terminate(run_id))

    def _is_wanted(self, run: dg.DagsterRun) -> bool:
        if not answers_job(run.tags):
            return True
        job_id, jobs = run.tags[JOB_ID_TAG], JobRecords(self._database)
        # Who launches a first run may do so again. Of a retry, Dagster would fail it, and no later one is the job's.
        patience_s = 0.0 if run.parent_run_id is None else PATIENCE_S
        return patiently(lambda: jobs.attach(job_id, run.run_id, run.parent_run_id), is_away, patience_s)
