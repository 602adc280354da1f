"""The order in which an installation is measured: at rest, one run after the other, a burst, cancels, kills."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import psutil

from backtest_pipelines.client.client import Client
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.graphql.names import ENDED
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Worker, Workers
from backtest_pipelines.service.supervisor.state import read_state
from backtest_pipelines_tests.benchmarks.service_installations import Measured, environment, ours, ours_with, stock
from backtest_pipelines_tests.benchmarks.service_runs import (
    VARIANT,
    Cancels,
    Questions,
    Timing,
    Web,
    burst_s,
    cancels,
    milliseconds,
    timed_job,
    timed_run,
    wait,
)
from backtest_pipelines_tests.service.dagster import witness

SLOW_DEFINITIONS = "backtest_pipelines_tests.service.slow_definitions"
CALLERS = 8
OUR_SLOTS, STOCK_SLOTS = 2, 4
WARM_UP_RUNS = 4
REST_S = 5.0
LOOK_S = 0.1

Kill: TypeAlias = Callable[[Measured, Web, Workers], None]


@dataclass(frozen=True)
class Size:
    """How often each thing is measured: runs of a series, runs of a burst, rounds of cancels and of kills."""

    runs: int
    burst: int
    rounds: int


@dataclass(frozen=True)
class Series:
    """What both launchers are measured by."""

    runs: list[Timing]
    burst_s: float
    memory_mb: dict[str, float]
    cancels: Cancels


@dataclass(frozen=True)
class Extras:
    """What ours alone is measured by.

    Attributes
    ----------
    first_ready_s, again_ready_s : float
        On a home where nothing ran yet, and on one where it did.
    jobs : list of Timing
    look_ms, result_ms : list of float
        GET of a job that is done, and its answer through the Python client.
    kills_ms : dict of str to list of float
        By what was killed: from the submission right after it until the success.
    """

    first_ready_s: float
    again_ready_s: float
    jobs: list[Timing]
    look_ms: list[float]
    result_ms: list[float]
    kills_ms: dict[str, list[float]]


def measured_stock(home: Path, postgres_url: str | None, size: Size) -> Series:
    with stock(home, postgres_url) as measured, _web(measured) as web:
        memory_mb = _at_rest_mb(measured)
        questions = Questions()
        runs = _runs(web, questions, size)
        taken_s = burst_s(web, questions, size.burst, CALLERS)
    with stock(home, postgres_url, SLOW_DEFINITIONS) as slow, _web(slow) as web:
        return Series(runs, taken_s, memory_mb, _cancels(slow, web, STOCK_SLOTS, size))


def measured_ours(home: Path, postgres_url: str | None, size: Size) -> tuple[Series, Extras]:
    with ours(home, postgres_url) as first:
        pass
    with ours(home, postgres_url) as again, _web(again) as web:
        memory_mb = _at_rest_mb(again)
        questions = Questions()
        runs = _runs(web, questions, size)
        jobs = [timed_job(web, questions) for _ in range(size.runs)]
        look_ms, result_ms = _client_ms(again, questions, size.runs)
        taken_s = burst_s(web, questions, size.burst, CALLERS)
    with ours_with(home, postgres_url, SLOW_DEFINITIONS) as slow, _web(slow) as web:
        canceled = _cancels(slow, web, OUR_SLOTS, size)
        kills_ms = _kills_ms(slow, web, questions, postgres_url, size.rounds, BUSY_KILLS)
    with ours_with(home, postgres_url) as idle, _web(idle) as web:
        kills_ms |= _kills_ms(idle, web, questions, postgres_url, size.rounds, IDLE_KILLS)
    return (
        Series(runs, taken_s, memory_mb, canceled),
        Extras(first.ready_s, again.ready_s, jobs, look_ms, result_ms, kills_ms),
    )


def _web(measured: Measured) -> Web:
    return Web(measured.web_url, measured.url)


def _at_rest_mb(measured: Measured) -> dict[str, float]:
    time.sleep(REST_S)
    return measured.memory_mb()


def _runs(web: Web, questions: Questions, size: Size) -> list[Timing]:
    for _ in range(WARM_UP_RUNS):
        timed_run(web, questions)
    return [timed_run(web, questions) for _ in range(size.runs)]


def _client_ms(measured: Measured, questions: Questions, count: int) -> tuple[list[float], list[float]]:
    """Return the times of GET job and of its answer, for jobs that the Python client submitted and awaited."""
    look_ms, result_ms = [], []
    with Client(measured.url) as client:
        for number in range(count + 1):
            job = client.submit(VARIANT, parameters=questions.next())
            job.wait(60)
            times_ms = milliseconds(lambda job=job: client.job(job.job_id)), milliseconds(lambda job=job: job.result())  # type: ignore[misc]
            if number:  # the first one imports pyarrow
                look_ms.append(times_ms[0])
                result_ms.append(times_ms[1])
    return look_ms, result_ms


def _cancels(measured: Measured, web: Web, slots: int, size: Size) -> Cancels:
    return cancels(web, slots, size.rounds, lambda run_id: bool(witness(measured.home, run_id)))


def _kills_ms(
    measured: Measured,
    web: Web,
    questions: Questions,
    postgres_url: str | None,
    rounds: int,
    kills: Mapping[str, Kill],
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    with Database(settings_from(environment(measured.home, postgres_url)).database) as database:
        workers = Workers(database)
        for name, kill in kills.items():
            found[name] = []
            for _ in range(rounds):
                _until_whole(measured, web, workers)
                kill(measured, web, workers)
                found[name].append(milliseconds(lambda: web.success(web.launch_question(questions.next()))))
        _until_whole(measured, web, workers)  # a retry still to come would not find its job in other definitions
    return found


def _kill_busy_child(measured: Measured, web: Web, workers: Workers) -> None:
    run_id = web.launch_slow(2)
    wait(lambda: bool(witness(measured.home, run_id)), LOOK_S)
    wait(lambda: any(worker.run_id == run_id for worker in _children(workers)), LOOK_S)
    _kill(*(worker.pid for worker in _children(workers) if worker.run_id == run_id))


def _kill_children(_measured: Measured, _web: Web, workers: Workers) -> None:
    _kill(*(worker.pid for worker in _children(workers)))


def _kill_worker(measured: Measured, _web: Web, _workers: Workers) -> None:
    state = read_state(measured.home)
    assert state is not None
    _kill(*(process.leader.pid for process in state.processes if process.name == "worker" and process.leader))


def _until_whole(measured: Measured, web: Web, workers: Workers) -> None:
    """Wait until all children live, all parts answer and no run is under way, nor a retry to come."""
    supervisor = measured.supervisor
    assert supervisor is not None
    wait(lambda: supervisor.ready_count == len(supervisor.children), LOOK_S)
    wait(lambda: len(_children(workers)) == OUR_SLOTS, LOOK_S)
    wait(lambda: all(run.status in ENDED and not run.will_retry for run in web.newest(2)), LOOK_S)
    time.sleep(REST_S)


def _children(workers: Workers) -> list[Worker]:
    return [worker for worker in workers.alive() if psutil.pid_exists(worker.pid)]


def _kill(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


BUSY_KILLS: Mapping[str, Kill] = {"a child with a run": _kill_busy_child}
IDLE_KILLS: Mapping[str, Kill] = {"all children": _kill_children, "the worker": _kill_worker}
