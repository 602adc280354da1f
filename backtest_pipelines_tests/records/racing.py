"""Several threads of several processes that do the same at the same moment, round after round."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Sequence
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import TypeAlias

from backtest_pipelines.records.database import Database

PROCESSES = 2
THREADS = 2
TIMEOUT_S = 60.0
Location: TypeAlias = Path | str
Work: TypeAlias = Callable[[Database, int, int], object]
"""Is given the database, the number of the round and that of the racer."""


def race(locations: Sequence[Location], work: Work) -> list[list[object]]:
    """Return, for each round, what each racer's work returned; each round is on the next location."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES * THREADS)
    results: SimpleQueue[tuple[int, list[object]]] = context.SimpleQueue()
    processes = [
        context.Process(target=_run, args=(locations, work, barrier, results, process * THREADS))
        for process in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    by_racer = dict(results.get() for _ in range(PROCESSES * THREADS))
    for process in processes:
        process.join(TIMEOUT_S)
        assert process.exitcode == 0
    return [list(by_round) for by_round in zip(*(by_racer[racer] for racer in sorted(by_racer)), strict=True)]


def _run(
    locations: Sequence[Location],
    work: Work,
    barrier: Barrier,
    results: SimpleQueue[tuple[int, list[object]]],
    first: int,
) -> None:
    databases = {location: Database(location) for location in locations}

    def rounds(racer: int) -> None:
        done: list[object] = []
        try:
            for number, location in enumerate(locations):
                barrier.wait(TIMEOUT_S)
                done.append(work(databases[location], number, racer))
        finally:
            if len(done) < len(locations):
                barrier.abort()
            results.put((racer, done))

    threads = [threading.Thread(target=rounds, args=(first + number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases.values():
        database.close()
