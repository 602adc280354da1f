"""Every name of Dagster that is not public and that a run launcher cannot do without, in one place.

Dagster calls a launcher and a coordinator by classes that it does not export, and has no public function that
executes a queued run in the process that calls it. pyproject.toml pins the exact version, and a test compares what
is used here with what it was written for.
"""

import logging
import signal

from dagster import DagsterRun, DefaultRunLauncher, LoggerDefinition
from dagster._cli.api import _execute_run_command_body as execute_run
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.execution import context_creation_job
from dagster._core.instance.config import ConcurrencyConfig
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._core.storage.tags import (
    MAX_RETRIES_TAG,
    PRIORITY_TAG,
    RETRY_STRATEGY_TAG,
)
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import ConfigurableClass, ConfigurableClassData, deserialize_value
from dagster._utils.interrupts import capture_interrupts, raise_interrupts_as
from dagster._utils.tags import TagConcurrencyLimitsCounter

DEQUEUER_THREAD = "dagster-daemon-QUEUED_RUN_COORDINATOR"
"""Name of the daemon's thread that moves runs from the queue to the launcher."""

__all__ = [
    "DEQUEUER_THREAD",
    "MAX_RETRIES_TAG",
    "PRIORITY_TAG",
    "RETRY_STRATEGY_TAG",
    "CheckRunHealthResult",
    "ConcurrencyConfig",
    "ConfigurableClass",
    "ConfigurableClassData",
    "GlobalOpConcurrencyLimitsCounter",
    "LaunchRunContext",
    "RunLauncher",
    "RunQueueConfig",
    "TagConcurrencyLimitsCounter",
    "WorkerStatus",
    "capture_interrupts",
    "code_server_answers",
    "execute_run",
    "in_code_of_a_step",
    "log_runs_by",
    "raise_interrupts_as",
    "stock_process_lives",
]


def log_runs_by(logger: logging.Logger) -> None:
    """Let the runs of this process log by a logger, where their config names none, and not in colours on stderr."""
    definition = LoggerDefinition(lambda _context: logger)
    context_creation_job.default_system_loggers = lambda _: [(definition, {})]  # type: ignore[attr-defined,assignment]


def stock_process_lives(launcher: DefaultRunLauncher, run_id: str) -> bool:
    """Say whether the code server still has the process of a run that the stock launcher started."""
    # It alone knows which server has the process.
    client = launcher._get_grpc_client_for_termination(run_id)  # type: ignore[no-untyped-call] # noqa: SLF001
    if client is None:
        return False
    try:
        reply = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run_id), timeout=5)
    except DagsterUserCodeUnreachableError:
        return False
    return deserialize_value(reply, CanCancelExecutionResult).can_cancel


def code_server_answers(run: DagsterRun) -> bool:
    """Say whether the code server of a run answers: without it no process is started, and no run tried again."""
    job = run.remote_job_origin
    origin = None if job is None else job.repository_origin.code_location_origin
    if not isinstance(origin, GrpcServerCodeLocationOrigin):
        return True  # a server that Dagster starts itself, as in `dg dev`
    try:
        origin.create_client().ping("")
    except DagsterUserCodeUnreachableError:
        return False
    return True


def in_code_of_a_step() -> bool:
    """Say whether an interrupt would be raised at once, as it is in the code of a step, and not kept for later."""
    handler = signal.getsignal(signal.SIGINT)
    return getattr(handler, "__qualname__", "").startswith(f"{raise_interrupts_as.__qualname__}.")
