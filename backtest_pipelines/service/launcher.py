"""The run launcher: rings for a worker, starts a run the stock way where none lives, and tells what became of one."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Self

import dagster as dg

from backtest_pipelines.executions.settings import Limits, settings_from
from backtest_pipelines.graphql.names import RETRY_NUMBER_TAG
from backtest_pipelines.records.claims import LEASE_S, STOCK, Claim, Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Workers
from backtest_pipelines.service.bell import Bell, celery_app
from backtest_pipelines.service.dagster_private import (
    MAX_RETRIES_TAG,
    RETRY_STRATEGY_TAG,
    CheckRunHealthResult,
    ConfigurableClass,
    ConfigurableClassData,
    LaunchRunContext,
    RunLauncher,
    WorkerStatus,
    code_server_answers,
    stock_process_lives,
)
from backtest_pipelines.service.ended_runs import report_end_again

logger = logging.getLogger(__name__)

ATTEMPTS = 3
"""So many times may a run lose its worker."""
WATCH_S = 2.0
WITHOUT_WORKER_S = 20.0
"""After so long without a beat no worker lives: one that died is started again sooner."""


class BellLauncher(RunLauncher[dg.DagsterInstance], ConfigurableClass):
    """Leaves a run to the workers, or to Dagster's own launcher where none shows a beat.

    Its settings come from the environment when the first run is launched or looked after.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._stock = dg.DefaultRunLauncher()
        self._waiting: dict[str, LaunchRunContext] = {}
        self._watching = threading.Lock()
        super().__init__()  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """What dagster.yaml says of this class."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """No settings in dagster.yaml."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:  # noqa: ARG003 - given by Dagster
        """Make one as dagster.yaml says."""
        return cls(inst_data)

    def register_instance(self, instance: dg.DagsterInstance) -> None:
        """Remember the instance, here and in the stock launcher."""
        super().register_instance(instance)
        self._stock.register_instance(instance)

    @cached_property
    def _database(self) -> Database:
        return Database(settings_from(os.environ).database)

    @cached_property
    def _limits(self) -> Limits:
        return settings_from(os.environ).limits

    @cached_property
    def _claims(self) -> Claims:
        return Claims(self._database)

    @cached_property
    def _bell(self) -> Bell:
        return Bell(celery_app(settings_from(os.environ)))

    def launch_run(self, context: LaunchRunContext) -> None:
        """Ring for a worker. Where none lives now, or while the run waits, start it the stock way."""
        if self._must_start_itself(context.dagster_run):
            self._launch_stock(context)
            return
        self._waiting[context.dagster_run.run_id] = context
        self._bell.ring()
        if self._watching.acquire(blocking=False):
            threading.Thread(target=self._watch, name="runs-without-a-worker", daemon=True).start()

    def terminate(self, run_id: str) -> bool:
        """Cancel a run that is under way."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        claim = self._claims.get(run_id)
        if claim is not None and claim.owner.startswith(STOCK):
            return bool(self._stock.terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        self._claims.request_cancel(run_id)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """True: Dagster's run monitoring asks."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Say whether the worker of a STARTED run lives; if not, take its claim away first, so that it cannot write."""
        claim = self._claims.get(run.run_id)
        # Without a claim it was started by hand, in some process of the user's that nothing is known of. And a run
        # that failed while no code server answers would not be tried again.
        if claim is None or not self._is_stale(claim) or not code_server_answers(run):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if claim.owner.startswith(STOCK):
            self._claims.release(run.run_id, claim.owner)
        elif not self._claims.give_away(run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if report_end_again(self._instance, run.run_id):
            return CheckRunHealthResult(WorkerStatus.SUCCESS)
        reason, is_final = self._reason(run, claim)
        tags = {RETRY_STRATEGY_TAG: "ALL_STEPS"} | ({MAX_RETRIES_TAG: "0"} if is_final else {})
        self._instance.add_run_tags(run.run_id, tags)
        return CheckRunHealthResult(WorkerStatus.FAILED, reason)

    def _is_stale(self, claim: Claim) -> bool:
        if claim.owner.startswith(STOCK):
            return not stock_process_lives(self._stock, claim.run_id)
        return claim.beat_age_s > LEASE_S

    def _reason(self, run: dg.DagsterRun, claim: Claim) -> tuple[str, bool]:
        """Return why a run without a worker failed, in the words of `errors`, and whether that is final."""
        if claim.held_s >= self._limits.hard_limit_s:
            limit = self._limits.hard_limit_s
            return f"TimeLimitError: it ran longer than the hard limit of {limit} s and its process was killed", True
        deaths = int(run.tags.get(RETRY_NUMBER_TAG, "0")) + claim.deaths + 1
        where = f"no sign of life from {claim.owner}"
        if deaths >= ATTEMPTS:
            return f"WorkerLostError: {where}; it lost its worker {deaths} times and is not tried again", True
        return f"WorkerLostError: {where}; attempt {deaths} of {ATTEMPTS}", False

    def _must_start_itself(self, run: dg.DagsterRun) -> bool:
        return not Workers(self._database).alive(WITHOUT_WORKER_S) and code_server_answers(run)

    def _launch_stock(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        owner = f"{STOCK}{os.uname().nodename}"
        if not self._claims.take(run.run_id, owner):
            return
        self._instance.report_engine_event(
            "No worker shows a sign of life: Dagster's own launcher starts this run, in a process of its own.",
            run,
            cls=type(self),
        )
        try:
            self._stock.launch_run(context)
        except Exception as error:  # noqa: BLE001 - claimed and not started it would wait for ever: it is tried again
            self._claims.release(run.run_id, owner)
            self._instance.add_run_tags(run.run_id, {RETRY_STRATEGY_TAG: "ALL_STEPS"})
            self._instance.report_run_failed(run, f"WorkerLostError: Dagster's own launcher did not start it: {error}")

    def _watch(self) -> None:
        """Look after the runs that this process rang for, until each has a worker."""
        while True:
            time.sleep(WATCH_S)
            try:
                for run_id, context in list(self._waiting.items()):
                    if self._claims.get(run_id) is not None:
                        del self._waiting[run_id]
                    elif self._must_start_itself(context.dagster_run):
                        del self._waiting[run_id]
                        self._launch_stock(context)
            except Exception:  # a thread that ends would leave runs waiting for ever
                logger.exception("Runs without a worker could not be looked after")
