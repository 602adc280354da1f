"""The kinds of faults, and one after the other: hurt, wait, check, repair."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from backtest_pipelines_tests.chaos import processes, stores
from backtest_pipelines_tests.chaos.target import Target
from backtest_pipelines_tests.chaos.work import Answers, Work
from backtest_pipelines_tests.postgres import PostgresServer

Fault = Callable[[Target, Work, Random], None]

ANYWHERE: tuple[Fault, ...] = (
    stores.bells_rung_four_times,
    stores.bells_lost,
    stores.bells_doubled,
    stores.redis_emptied,
    stores.redis_restarted_empty,
    stores.redis_paused,
    processes.redis_killed,
    processes.worker_child_killed,
    processes.worker_child_killed_after_its_claim,
    processes.child_woken_after_its_claim,
    processes.child_slower_than_its_lease,
    processes.child_stopped_and_woken,
    processes.idle_child_stopped_and_killed,
    processes.idle_worker_stopped_and_killed,
    processes.worker_killed,
    processes.worker_stopped_and_woken,
    processes.cancelled_while_running,
    processes.code_server_killed,
    processes.code_server_killed_before_a_retry,
    processes.daemon_killed,
    processes.web_server_killed,
    processes.api_killed,
    processes.several_killed,
    processes.supervisor_killed,
)
ON_POSTGRES: tuple[Fault, ...] = (
    stores.postgres_killed,
    stores.postgres_stopped_again_and_again,
    stores.postgres_paused,
)
KINDS: dict[str, Fault] = {fault.__name__: fault for fault in ANYWHERE + ON_POSTGRES}
TESTED_ON_POSTGRES = (
    ("bells_rung_four_times", "bells_lost", "bells_doubled"),
    ("redis_emptied", "worker_child_killed_after_its_claim"),
    ("postgres_killed",),
)
"""Groups of kinds that the test suite inflicts, each in one go."""
TESTED_ON_SQLITE = (("bells_lost", "worker_child_killed"),)


@dataclass(frozen=True)
class Outcome:
    """What came of a fault, or of several.

    Attributes
    ----------
    recovery_s : float
        From the end of the fault until all work had ended as it should.
    problem : str or None
        Why it was not survived.
    """

    recovery_s: float
    problem: str | None


Survive = Callable[[Sequence[str], str], Outcome]


@contextmanager
def hurt(folder: Path, *, on_postgres: bool, long_stop_s: float, within_s: float) -> Iterator[Survive]:
    """Start an installation; yield what takes kinds of faults and a seed, and says what came of them."""
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer(folder / "postgres")) if on_postgres else None
        target = stack.enter_context(Target(folder, postgres, long_stop_s=long_stop_s))
        answers = stack.enter_context(Answers(target, folder / "reference"))
        yield lambda kinds, seed: survive(target, answers, kinds, seed, within_s)


def survive(target: Target, answers: Answers, kinds: Sequence[str], seed: str, within_s: float) -> Outcome:
    """Inflict faults, one right after the other, and say what came of them; the installation is whole afterwards.

    Parameters
    ----------
    target : Target
    answers : Answers
    kinds : sequence of str
        Of `KINDS`. Two or more that kill a worker's process may use up the three attempts of a run.
    seed : str
        What the times and the questions are drawn from.
    within_s : float
        For all work to end, once the last fault has.
    """
    work = Work(target, answers, Random(f"{seed} {kinds}"))
    recovery_s, problem = within_s, None
    try:
        for kind in kinds:
            KINDS[kind](target, work, Random(f"{seed} {kind}"))
        recovery_s = work.wait(within_s)
        work.check()
    except Exception:  # noqa: BLE001 - each is a finding, told with its place
        problem = traceback.format_exc(limit=-4)
    target.repair()
    return Outcome(recovery_s, problem)
