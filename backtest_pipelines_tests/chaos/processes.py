"""Faults of processes: killed, or standing still, at times drawn by chance.

Each function is one kind: it gives the installation work, hurts it meanwhile, and ends the fault.
"""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

from backtest_pipelines_tests.chaos.target import Target, signal_process, signal_session, wait_for_the_end_of
from backtest_pipelines_tests.chaos.work import Work
from backtest_pipelines_tests.service.dagster import until, witness

CLAIM_S = 60.0
LOST_S = 30.0


def worker_child_killed(target: Target, work: Work, chance: Random) -> None:
    """A run's process is killed while its step is under way; others wait meanwhile."""
    run_id = work.slow_begun(3)
    work.submit(2)
    time.sleep(chance.uniform(0, 2))
    signal_process(target.child_of(run_id).pid, signal.SIGKILL)


def worker_child_killed_after_its_claim(target: Target, work: Work, chance: Random) -> None:
    """A run's process is killed when it has claimed the run and not begun it."""
    pid = _stopped_at_its_claim(target, work, chance)
    signal_process(pid, signal.SIGKILL)
    work.submit()


def child_woken_after_its_claim(target: Target, work: Work, chance: Random) -> None:
    """A run's process stands still when it has claimed the run, until another has taken it over, and is woken."""
    pid = _stopped_at_its_claim(target, work, chance)
    try:
        work.submit()
        time.sleep(chance.uniform(3.5, 8))
    finally:
        signal_process(pid, signal.SIGCONT)


def worker_killed(target: Target, work: Work, chance: Random) -> None:
    """The parent of a worker's processes is killed."""
    _process_killed("worker", target, work, chance)


def redis_killed(target: Target, work: Work, chance: Random) -> None:
    """Redis is killed, with bells in its queue."""
    _process_killed("redis", target, work, chance)


def code_server_killed(target: Target, work: Work, chance: Random) -> None:
    """Dagster's code server is killed."""
    _process_killed("code", target, work, chance)


def code_server_killed_before_a_retry(target: Target, work: Work, chance: Random) -> None:
    """Dagster's code server is killed when a run has failed and its retry is to be launched."""
    run_id = work.slow_begun(3)
    signal_process(target.child_of(run_id).pid, signal.SIGKILL)
    assert target.web.wait(run_id, LOST_S) == "FAILURE"
    time.sleep(chance.uniform(0, 4))
    signal_process(target.leader("code").pid, signal.SIGKILL)
    work.submit()


def daemon_killed(target: Target, work: Work, chance: Random) -> None:
    """Dagster's daemon is killed, and with it whoever would notice that a worker died: one does."""
    run_id = work.slow_begun(3)
    signal_process(target.leader("daemon").pid, signal.SIGKILL)
    signal_process(target.child_of(run_id).pid, signal.SIGKILL)
    time.sleep(chance.uniform(0, 1))
    work.submit(2)


def web_server_killed(target: Target, work: Work, chance: Random) -> None:
    """Dagster's web server is killed while jobs are launched."""
    _killed_while_submitted("web", target, work, chance)


def api_killed(target: Target, work: Work, chance: Random) -> None:
    """The API is killed between a job's row, its launch and its answer; the client submits again."""
    _killed_while_submitted("api", target, work, chance)


def supervisor_killed(target: Target, work: Work, chance: Random) -> None:
    """The supervisor is killed, leaving its processes behind, and started again."""
    work.slow_begun(4)
    work.submit(2)
    time.sleep(chance.uniform(0, 2))
    target.kill_supervisor()
    work.slow(1)
    time.sleep(chance.uniform(0, 2))
    target.up()


def several_killed(target: Target, work: Work, chance: Random) -> None:
    """Three of the processes are killed within a second."""
    work.slow_begun(3)
    work.submit(2)
    for name in chance.sample(["redis", "code", "web", "worker", "daemon", "api"], 3):
        signal_process(target.leader(name).pid, signal.SIGKILL)
        time.sleep(chance.uniform(0, 0.5))
    work.submit(2)


def idle_child_stopped_and_killed(target: Target, work: Work, chance: Random) -> None:
    """An idle process of the worker stands still, work comes, and it is killed."""
    pid = target.idle_child().pid
    signal_process(pid, signal.SIGSTOP)
    work.submit(2)
    work.slow(1)
    time.sleep(chance.uniform(0, 2))
    signal_process(pid, signal.SIGKILL)


def idle_worker_stopped_and_killed(target: Target, work: Work, chance: Random) -> None:
    """A whole idle worker stands still, so that it takes bells with it, work comes, and it is killed."""
    leader = target.leader("worker")
    signal_session(leader, signal.SIGSTOP)
    work.submit(2)
    work.slow(1)
    time.sleep(chance.uniform(0, 3))
    signal_session(leader, signal.SIGKILL)


def child_stopped_and_woken(target: Target, work: Work, chance: Random) -> None:
    """A run's process stands still until the run was given to another, and is woken: it must not write any more."""
    run_id = work.slow_begun(3)
    pid = target.child_of(run_id).pid
    signal_process(pid, signal.SIGSTOP)
    stopped_s = time.monotonic()
    try:
        work.submit()
        assert target.web.wait(run_id, LOST_S) == "FAILURE"
        work.note_left_behind(run_id)
        time.sleep(max(0.0, target.long_stop_s - (time.monotonic() - stopped_s)))
    finally:
        signal_process(pid, signal.SIGCONT)
    wait_for_the_end_of(pid)
    time.sleep(chance.uniform(0, 0.5))


def worker_stopped_and_woken(target: Target, work: Work, chance: Random) -> None:
    """A whole worker stands still: for long, it is taken for dead and replaced; else its runs are given away."""
    work.slow_begun(3)
    leader = target.leader("worker")
    signal_session(leader, signal.SIGSTOP)
    try:
        work.submit()
        time.sleep(target.long_stop_s * chance.uniform(0.8, 1.0))
    finally:
        signal_session(leader, signal.SIGCONT)


def child_slower_than_its_lease(target: Target, work: Work, chance: Random) -> None:
    """A run's process stands still for about as long as its lease: it may have lost its run, or not."""
    run_id = work.slow_begun(3)
    pid = target.child_of(run_id).pid
    signal_process(pid, signal.SIGSTOP)
    try:
        time.sleep(chance.uniform(3.5, 7))
    finally:
        signal_process(pid, signal.SIGCONT)
    work.submit()


def cancelled_while_running(target: Target, work: Work, chance: Random) -> None:
    """A run is cancelled while it runs, and another one while it waits."""
    running = work.slow_begun(20, "CANCELED")
    time.sleep(chance.uniform(0, 1))
    assert target.web.cancel(running) == "TerminateRunSuccess"
    until(lambda: target.web.status(running) == "CANCELED", 10, "the cancel")
    assert len(witness(target.home, running)) == 1
    work.submit()


def _stopped_at_its_claim(target: Target, work: Work, chance: Random) -> int:
    """Let a process stand still within milliseconds of its claim of a slow run or a job; return its id."""
    target.idle_child()
    before = set(target.claims.held())
    with ThreadPoolExecutor(1) as pool:
        launched = pool.submit(work.slow, 1) if chance.random() < 0.5 else pool.submit(work.submit)
        deadline_s = time.monotonic() + CLAIM_S
        while not (claims := {run_id: claim for run_id, claim in target.claims.held().items() if run_id not in before}):
            assert time.monotonic() < deadline_s, "nothing is claimed"
        time.sleep(chance.uniform(0, 0.05))
        (claim,) = claims.values()
        pid = int(claim.owner.split(":")[1])
        signal_process(pid, signal.SIGSTOP)
        launched.result()
    return pid


def _process_killed(name: str, target: Target, work: Work, chance: Random) -> None:
    work.slow_begun(3)
    work.submit(2)
    time.sleep(chance.uniform(0, 1))
    signal_process(target.leader(name).pid, signal.SIGKILL)
    work.submit(2)


def _killed_while_submitted(name: str, target: Target, work: Work, chance: Random) -> None:
    """Kill what takes part in a submission at some moment of it; each job is submitted twice in any case."""
    leader = target.leader(name)
    with ThreadPoolExecutor(2) as pool:
        submitted = [pool.submit(work.submit_twice) for _ in range(2)]
        time.sleep(chance.uniform(0, 0.3))
        signal_process(leader.pid, signal.SIGKILL)
        for each in submitted:
            each.result()
