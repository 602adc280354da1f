"""Dagster's launcher for Celery under some of the faults: python -m backtest_pipelines_tests.chaos.stock --rounds N.

It has what makes it as dependable as it can be: Dagster's monitoring of runs, and their retries.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from backtest_pipelines.results.redis_cache import RedisSettings
from backtest_pipelines.service.bell import broker_url
from backtest_pipelines.service.supervisor.child import Part
from backtest_pipelines.service.supervisor.sessions import Leader
from backtest_pipelines_tests.benchmarks.service_installations import STOCK_QUEUE, Addition, Measured, stock
from backtest_pipelines_tests.chaos.target import signal_process, signal_session
from backtest_pipelines_tests.service.dagster import Web, until, witness
from backtest_pipelines_tests.service.running import DEFINITIONS

START_TIMEOUT_S = 20
"""A ninth of Dagster's default: a run that was not begun by then is failed, and tried again."""
WITHIN_S = 60.0
BEGIN_S = 60.0
TAKEN_S = 2.0
"""A message is sent and taken by then."""
IN_ADVANCE = 8
"""Messages that a worker with two processes takes, with Celery's defaults."""


def main() -> None:
    """Run the rounds and print how many runs succeeded, and how many of them at their first attempt."""
    parser = argparse.ArgumentParser(prog="python -m backtest_pipelines_tests.chaos.stock", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each fault is inflicted")
    rounds = parser.parse_args().rounds
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))  # what was started is stopped
    console = Console()
    attempts: dict[str, list[int | None]] = defaultdict(list)
    with (
        tempfile.TemporaryDirectory(prefix="chaos-", ignore_cleanup_errors=True) as folder,
        stock(Path(folder), None, DEFINITIONS, _celery) as running,
    ):
        for _ in range(rounds):
            for fault in (worker_killed, idle_worker_stopped_and_killed, redis_emptied):
                found = [_attempts_of(Web(running.web_url), run_id) for run_id in fault(running)]
                attempts[fault.__name__] += found
                console.print(f"{fault.__name__}: attempts until success {found}")
    console.print(_table(attempts))


def worker_killed(running: Measured) -> list[str]:
    """The worker is killed with all its processes while a step is under way."""
    run_id = Web(running.web_url).launch_slow(seconds=3)
    until(lambda: bool(witness(running.home, run_id)), BEGIN_S, "the step")
    signal_session(_leader(running, "worker"), signal.SIGKILL)
    return [run_id]


def idle_worker_stopped_and_killed(running: Measured) -> list[str]:
    """The processes of an idle worker stand still, a run is launched and given to one, and the worker is killed."""
    leader = _leader(running, "worker")
    for pid in set(leader.members()) - {leader.pid}:
        signal_process(pid, signal.SIGSTOP)
    web = Web(running.web_url)
    run_id = web.launch_slow(seconds=1)
    web.wait(run_id, BEGIN_S, "STARTING")
    time.sleep(TAKEN_S)
    signal_session(leader, signal.SIGKILL)
    return [run_id]


def redis_emptied(running: Measured) -> list[str]:
    """All that Redis holds is deleted while more runs wait than the worker executes and takes in advance."""
    run_ids = [Web(running.web_url).launch_slow(seconds=4) for _ in range(IN_ADVANCE + 6)]
    Web(running.web_url).wait(run_ids[-1], BEGIN_S, "STARTING")
    time.sleep(TAKEN_S)
    with redis.Redis.from_url(_redis_url(running)) as client:
        client.flushall()
    return run_ids


def _celery(broker: RedisSettings) -> Addition:
    url = broker_url(broker)
    worker = [sys.executable, "-m", "celery", "-A", "dagster_celery.app", "-b", url, "--result-backend", url, "worker"]
    return Addition(
        {
            "run_queue": {**STOCK_QUEUE, "max_concurrent_runs": 2 * IN_ADVANCE},
            "run_launcher": {
                "module": "dagster_celery.launcher",
                "class": "CeleryRunLauncher",
                "config": {"broker": url, "backend": url, "default_queue": "dagster"},
            },
            "run_monitoring": {
                "enabled": True,
                "poll_interval_seconds": 2,
                "start_timeout_seconds": START_TIMEOUT_S,
            },
            "run_retries": {"enabled": True, "max_retries": 2},
        },
        [Part("worker", [*worker, "--concurrency=2", "--queues=dagster"], lambda _pid: True, ("redis", "store"))],
    )


def _leader(running: Measured, name: str) -> Leader:
    def leader() -> Leader | None:
        assert running.supervisor is not None
        (child,) = [child for child in running.supervisor.children if child.part.name == name]
        return child.leader

    until(lambda: leader() is not None, BEGIN_S, name)
    found = leader()
    assert found is not None
    return found


def _redis_url(running: Measured) -> str:
    assert running.supervisor is not None
    (child,) = [child for child in running.supervisor.children if child.part.name == "redis"]
    return child._environ["REDIS_URL"]


def _attempts_of(web: Web, run_id: str) -> int | None:
    """Wait for a run, or one of its retries, to succeed; return how many there were, or None where none did."""

    def group() -> list[str]:
        return [str(run["status"]) for run in web.group(run_id)] or [web.status(run_id)]

    deadline_s = time.monotonic() + WITHIN_S
    while "SUCCESS" not in group():
        if time.monotonic() > deadline_s:
            return None
        time.sleep(0.2)
    return len(group())


def _table(attempts: dict[str, list[int | None]]) -> Table:
    table = Table(title=f"CeleryRunLauncher, within {WITHIN_S:.0f} s", title_justify="left")
    table.add_column("fault")
    table.add_column("runs that succeeded", justify="right")
    table.add_column("at the first attempt", justify="right")
    for fault, found in attempts.items():
        succeeded = [count for count in found if count is not None]
        table.add_row(
            fault.replace("_", " "), f"{len(succeeded)} of {len(found)}", f"{succeeded.count(1)} of {len(found)}"
        )
    return table


if __name__ == "__main__":
    main()
