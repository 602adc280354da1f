"""Faults of bells, of Redis and of Postgres: lost, doubled, emptied, paused, away.

Each function is one kind: it gives the installation work, hurts it meanwhile, and ends the fault.
"""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from random import Random

from backtest_pipelines_tests.chaos.target import Target, signal_process
from backtest_pipelines_tests.chaos.work import Work

RUNG = 4
BELL_S = 5.0


def bells_rung_four_times(target: Target, work: Work, chance: Random) -> None:
    """Each bell is rung four times."""
    bell = target.bell()
    for _ in range(4):
        work.submit()
        work.slow(chance.uniform(0, 0.2))
        for _ in range(2 * (RUNG - 1)):
            bell.ring()


def bells_lost(target: Target, work: Work, chance: Random) -> None:
    """What the worker should hear is taken out of its queue, for seconds."""

    def steal(_bell: bytes) -> None:
        pass

    with _bells_taken(target, chance.uniform(2, 3), steal):
        work.submit(2)
        work.slow(1)


def bells_doubled(target: Target, work: Work, chance: Random) -> None:
    """The same message is put into the queue twice."""
    client = target.redis()

    def double(bell: bytes) -> None:
        client.rpush(target.queue, bell, bell)

    with _bells_taken(target, 0, double):
        work.submit(2)
        work.slow(chance.uniform(0, 1))


def redis_emptied(target: Target, work: Work, chance: Random) -> None:
    """All that Redis holds is deleted while runs wait."""
    with target.redis() as client:
        for _ in range(3):
            work.slow(1)
            work.submit()
            client.flushall()
            time.sleep(chance.uniform(0, 0.5))


def redis_restarted_empty(target: Target, work: Work, chance: Random) -> None:
    """Redis is emptied and killed at once while runs wait: it comes back with nothing."""
    work.slow_begun(2)
    work.submit(2)
    time.sleep(chance.uniform(0, 0.5))
    with target.redis() as client:
        client.flushall()
        signal_process(target.leader("redis").pid, signal.SIGKILL)
    work.submit()


def redis_paused(target: Target, work: Work, chance: Random) -> None:
    """Redis stands still for seconds while work comes."""
    work.slow_begun(1)
    pid = target.leader("redis").pid
    signal_process(pid, signal.SIGSTOP)
    try:
        work.submit(2)
        time.sleep(chance.uniform(2, 6))
    finally:
        signal_process(pid, signal.SIGCONT)


def postgres_killed(target: Target, work: Work, chance: Random) -> None:
    """All processes of Postgres are killed, and it is started again."""
    work.slow_begun(3)
    work.submit(2)
    time.sleep(chance.uniform(0, 1))
    _away(target, chance.uniform(0, 3), killed=True)


def postgres_stopped_again_and_again(target: Target, work: Work, chance: Random) -> None:
    """Postgres is stopped and started every few seconds."""
    work.slow_begun(4)
    for _ in range(3):
        work.submit(2)
        time.sleep(chance.uniform(0.5, 3))
        _away(target, chance.uniform(0, 2), killed=False)


def postgres_paused(target: Target, work: Work, chance: Random) -> None:
    """Postgres stands still for seconds: it takes connections, and answers nothing."""
    assert target.postgres is not None
    work.slow_begun(3)
    work.submit(2)
    target.postgres.pause()
    try:
        time.sleep(chance.uniform(2, 8))
    finally:
        target.postgres.resume()


def _away(target: Target, for_s: float, *, killed: bool) -> None:
    assert target.postgres is not None
    if killed:
        target.postgres.kill()
    else:
        target.postgres.stop()
    time.sleep(for_s)
    target.postgres.start()


@contextmanager
def _bells_taken(target: Target, for_s: float, use: Callable[[bytes], None]) -> Iterator[None]:
    """Take bells out of the queue before the worker can, for some seconds, at least one."""

    def take() -> int:
        end_s = time.monotonic() + for_s
        taken = 0
        with target.redis() as client:
            while taken == 0 or time.monotonic() < end_s:
                found = client.brpop([target.queue], timeout=BELL_S)
                assert found is not None, "no bell was rung"
                use(found[1])
                taken += 1
        return taken

    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(take)
        time.sleep(1.2)  # the worker asks anew each second: now this one has waited for longer
        yield
        taking.result()
