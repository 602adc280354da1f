"""The worker: a Celery process whose children are forked after the definitions were imported, and execute runs.

``python -m backtest_pipelines.service.worker``. Celery replaces children, ends those that pass the hard limit, and
stops warmly; who runs what is decided by `admission`, and a child's life is in `child`.
"""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
import threading
import time

import dagster as dg
from celery import Celery
from celery.apps import worker as celery_worker
from celery.signals import setup_logging, task_received, worker_process_init, worker_process_shutdown, worker_ready

from backtest_pipelines.errors import BacktestError, BadRequestError
from backtest_pipelines.executions.settings import Settings, settings_from
from backtest_pipelines.logs import configure_logging
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Workers
from backtest_pipelines.service.bell import SWEPT_EXPIRES_S, TASK, Bell, celery_app
from backtest_pipelines.service.child import Child
from backtest_pipelines.service.dagster_private import (
    capture_output_directly,
    log_runs_by,
    quicken_run_files,
    replace_lost_connections,
)
from backtest_pipelines.service.hearing import Consumer, Hearing

logger = logging.getLogger("backtest_pipelines.service.worker")  # also where this is the main module

SWEEP_S = 1.0
CONNECTIONS_PER_CHILD = 4
STATEMENT_TIMEOUT_MS = 30_000
RECYCLE_CONNECTION_S = 300


def main() -> int:
    """Run a worker until SIGTERM and return the exit status."""
    try:
        if not os.environ.get("DAGSTER_HOME"):
            raise BadRequestError("DAGSTER_HOME", None, "set it to the folder of dagster.yaml, as `up` and `worker` do")
        settings = settings_from(os.environ)
        app = worker_app(settings)
    except BacktestError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    configure_logging(settings.logs, "worker")
    celery_worker.safe_say = lambda text, _stream=None: logger.info(text)  # it says how it ends past every log
    capture_output_directly()
    log_runs_by(logging.getLogger("backtest_pipelines.runs"))
    _import_definitions()
    gc.collect()
    gc.freeze()  # the children share what is imported: the collector must not write to it
    app.worker_main(
        [
            "--quiet",
            "worker",
            "--pool=prefork",
            f"--concurrency={settings.limits.workers}",
            "--without-gossip",
            "--without-mingle",
            "--without-heartbeat",
            f"--hostname=backtest-{os.getpid()}@%h",
        ]
    )
    return 0


def worker_app(settings: Settings) -> Celery:
    """Return the Celery app with its one task, its limits and what happens in each child."""
    app = celery_app(settings)
    limits = settings.limits
    app.conf.update(
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_redirect_stdouts=False,
        worker_max_tasks_per_child=limits.runs_per_child,
        worker_max_memory_per_child=limits.memory_mb * 1024,
        task_time_limit=limits.hard_limit_s,
        task_store_errors_even_if_ignored=False,
        # Unlike one who rings, a worker waits for its broker, and comes back to it.
        broker_transport_options={
            "socket_timeout": 5,
            "socket_connect_timeout": 1,
            "socket_keepalive": True,
            "health_check_interval": 5,
            "retry_on_timeout": True,
        },
        broker_connection_max_retries=None,
    )
    bell = Bell(celery_app(settings))
    opened: list[Child] = []  # in each child, one, once its stores answered

    def begin(**_: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            opened.append(_child(settings, bell))
        except Exception:  # a child that ends at once would be replaced without a pause; the next bell tries again
            logger.exception("The stores do not answer")

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def hear() -> None:
        if not opened:
            begin()
        for child in opened:
            child.hear()

    def end(**_: object) -> None:
        for child in opened:
            child.leave()

    def sweep(sender: Consumer, **_: object) -> None:
        hearing = Hearing(sender, Workers(Database(settings.database)))
        task_received.connect(hearing.heard, weak=False)
        threading.Thread(target=_sweep, args=[bell, hearing], name="sweep", daemon=True).start()

    setup_logging.connect(_leave_logging_alone)
    worker_process_init.connect(begin, weak=False)
    worker_process_shutdown.connect(end, weak=False)
    worker_ready.connect(sweep, weak=False)
    return app


def _leave_logging_alone(**_: object) -> None:
    """Be there: Celery sets up no logging where somebody answers to its signal."""


def _import_definitions() -> None:
    from backtest_pipelines.definitions import defs  # noqa: PLC0415 - a second that a wrong setting need not wait for

    defs().get_repository_def().load_all_definitions()
    # Dagster's stores import it when they are opened, which each child does by itself.
    import upath  # noqa: F401, PLC0415


def _child(settings: Settings, bell: Bell) -> Child:
    """Open everything in the child: connections must not be shared with the parent."""
    instance = dg.DagsterInstance.get()
    instance.optimize_for_webserver(
        statement_timeout=STATEMENT_TIMEOUT_MS, pool_recycle=RECYCLE_CONNECTION_S, max_overflow=CONNECTIONS_PER_CHILD
    )
    quicken_run_files(instance)
    replace_lost_connections(instance)
    child = Child(instance, Database(settings.database), settings.limits, bell)
    child.start()
    return child


def _sweep(bell: Bell, hearing: Hearing) -> None:
    """Ring where no bell waits: one that was lost costs a second. Look after the worker's hearing where one does."""
    while True:
        time.sleep(SWEEP_S)
        try:
            waiting = bell.waiting()
            if waiting == 0:
                bell.ring(expires_s=SWEPT_EXPIRES_S)
            hearing.check(waiting)
        except Exception as error:  # noqa: BLE001 - a thread that ends would leave lost bells unrung
            logger.warning("The broker or the database does not answer: %s", error)


if __name__ == "__main__":
    sys.exit(main())
