"""Every name of Dagster that is not public and that a run launcher cannot do without, in one place.

Dagster calls a launcher and a coordinator by classes that it does not export, and has no public function that
executes a queued run in the process that calls it. pyproject.toml pins the exact version, and a test compares what
is used here with what it was written for.
"""

import logging
import os
import signal
import sqlite3
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TextIO

from dagster import DagsterInstance, DagsterRun, DefaultRunLauncher, LoggerDefinition
from dagster._cli.api import _execute_run_command_body as execute_run
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.events import JobFailureData, RunFailureReason
from dagster._core.execution import context_creation_job
from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.execution.plan.objects import StepFailureData
from dagster._core.instance.config import ConcurrencyConfig
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._core.op_concurrency_limits_counter import GlobalOpConcurrencyLimitsCounter
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig
from dagster._core.storage import local_compute_log_manager
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME
from dagster._core.storage.tags import (
    MAX_RETRIES_TAG,
    PRIORITY_TAG,
    RETRY_STRATEGY_TAG,
)
from dagster._core.storage.tags import RETRY_ON_ASSET_OR_OP_FAILURE_TAG as RETRY_ON_STEP_FAILURE_TAG
from dagster._daemon.auto_run_reexecution import auto_run_reexecution
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import ConfigurableClass, ConfigurableClassData, deserialize_value
from dagster._utils import ensure_file
from dagster._utils.interrupts import capture_interrupts, raise_interrupts_as
from dagster._utils.tags import TagConcurrencyLimitsCounter
from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.exc import DisconnectionError

from backtest_pipelines.graphql.names import WILL_RETRY_TAG
from backtest_pipelines.service.patience import patiently

DEQUEUER_THREAD = "dagster-daemon-QUEUED_RUN_COORDINATOR"
"""Name of the daemon's thread that moves runs from the queue to the launcher."""

DECIDED_WITHIN_S = 5.0
"""So long does the daemon wait for the status of a run whose end it has seen in its log."""

__all__ = [
    "DEQUEUER_THREAD",
    "MAX_RETRIES_TAG",
    "PRIORITY_TAG",
    "RETRY_ON_STEP_FAILURE_TAG",
    "RETRY_STRATEGY_TAG",
    "CheckRunHealthResult",
    "ConcurrencyConfig",
    "ConfigurableClass",
    "ConfigurableClassData",
    "GlobalOpConcurrencyLimitsCounter",
    "JobFailureData",
    "LaunchRunContext",
    "RunFailureReason",
    "RunLauncher",
    "RunQueueConfig",
    "StepFailureData",
    "TagConcurrencyLimitsCounter",
    "WorkerStatus",
    "capture_interrupts",
    "capture_output_directly",
    "code_server_answers",
    "execute_run",
    "in_code_of_a_step",
    "log_runs_by",
    "quicken_run_files",
    "raise_interrupts_as",
    "replace_lost_connections",
    "retry_runs_patiently",
    "silence_the_dequeuer",
    "stock_process_lives",
]


def log_runs_by(logger: logging.Logger) -> None:
    """Let the runs of this process log by a logger, where their config names none, and not in colours on stderr."""
    definition = LoggerDefinition(lambda _context: logger)
    context_creation_job.default_system_loggers = lambda _: [(definition, {})]  # type: ignore[attr-defined,assignment]


def capture_output_directly() -> None:
    """Have what steps write to stdout and stderr go to the files that Dagster shows, and nowhere else.

    For each step Dagster starts four processes, two of them Pythons, that copy it to this process's own output, too:
    a fifth of a short run, on two cores.
    """
    local_compute_log_manager.mirror_stream_to_file = _written_to_file  # type: ignore[attr-defined,assignment]


@contextmanager
def _written_to_file(stream: TextIO, path: str) -> Iterator[None]:
    ensure_file(path)
    with redirect_to_file(stream, path):
        yield


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


def retry_runs_patiently(for_s: float) -> None:
    """Have the daemon launch the retry of a run again where that failed, for some seconds.

    It would give the run up, whatever the reason: the code server or the database may be away just now. Until it is
    done the daemon has not noted the failure as seen, so that one that is killed meanwhile begins anew. Nor does it
    pass over a failure that it sees before the status, and whether the run is tried again, are written.
    """
    launch, choose = _launch_of_retries(), _choice_of_retries()
    auto_run_reexecution.retry_run = lambda *arguments: patiently(lambda: launch(*arguments), lambda _: True, for_s)
    auto_run_reexecution.filter_runs_to_should_retry = lambda runs, instance: choose(
        [_once_decided(run, instance) for run in runs], instance
    )


@cache
def _launch_of_retries() -> Callable[..., None]:
    return auto_run_reexecution.retry_run


@cache
def _choice_of_retries() -> Callable[[Sequence[DagsterRun], DagsterInstance], Iterator[DagsterRun]]:
    return auto_run_reexecution.filter_runs_to_should_retry


def _once_decided(run: DagsterRun, instance: DagsterInstance) -> DagsterRun:
    """Wait for what is written of a run right after the event of its end."""
    deadline_s = time.monotonic() + DECIDED_WITHIN_S
    while True:
        run = instance.get_run_by_id(run.run_id) or run
        is_decided = run.is_finished and (not run.is_failure or WILL_RETRY_TAG in run.tags)
        if is_decided or time.monotonic() > deadline_s:
            return run
        time.sleep(0.05)


def silence_the_dequeuer() -> None:
    """Let the daemon not log each second that no run may start, which is what it is told while workers live."""
    logging.getLogger(f"dagster.daemon.{QueuedRunCoordinatorDaemon.__name__}").addFilter(_says_more)


def _says_more(record: logging.LogRecord) -> bool:
    return "Maximum is 0, won't launch more." not in record.getMessage()


def replace_lost_connections(instance: DagsterInstance) -> None:
    """Have idle connections that Postgres hung up on replaced: each would fail what is asked on it next."""
    for storage in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
        engine = getattr(storage, "_engine", None)
        if isinstance(engine, Engine) and engine.dialect.name == "postgresql":
            event.listen(engine, "checkout", _refuse_lost)


def _refuse_lost(connection: Any, *_: object) -> None:  # noqa: ANN401 - psycopg2's, of which SQLAlchemy knows nothing
    from backtest_pipelines.records.postgres import is_reusable  # noqa: PLC0415 - needs a driver that SQLite spares

    if not is_reusable(connection):
        raise DisconnectionError


def quicken_run_files(instance: DagsterInstance) -> None:
    """Have the file of each new run's events begin as a copy of a prepared one, where they are kept in SQLite.

    Dagster makes a file for each run, creates its tables and notes the revision of its schema, with a transaction for
    each: half the time of a launch. Which revision a file has it looks up anew in each process that writes to it.
    """
    storage = instance.event_log_storage
    if type(storage) is SqliteEventLogStorage:
        storage._initdb = _PreparedFiles(storage._initdb)  # type: ignore[assignment,method-assign] # noqa: SLF001


class _PreparedFiles:
    """In place of the method of the storage that makes a file's tables."""

    def __init__(self, make_tables: Callable[[Engine], None]) -> None:
        self._make_tables = make_tables

    def __call__(self, engine: Engine) -> None:
        path = Path(str(engine.url.database))
        if path.stem == INDEX_SHARD_NAME or not (self._placed(path) or _has_tables(path)):
            self._make_tables(engine)

    def _placed(self, path: Path) -> bool:
        """Put the prepared file at a path, unless there is one."""
        if path.exists():
            return False
        copy = path.with_name(f".{uuid.uuid4()}")
        copy.write_bytes(self._prepared)
        try:
            os.link(copy, path)
        except FileExistsError:  # another process was faster
            return False
        finally:
            copy.unlink()
        return True

    @cached_property
    def _prepared(self) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run.db"
            engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)
            self._make_tables(engine)
            engine.dispose()
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            return path.read_bytes()


def _has_tables(path: Path) -> bool:
    """Say whether a file's tables are whole: the revision is noted last."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute("SELECT 1 FROM alembic_version").fetchone() is not None
    return False
