"""A process with all that it started: each child leads a session of its own, known by its leader's id.

Also for what a killed supervisor left behind, whose processes are no children of this one.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

from backtest_pipelines.records.workers import Worker

POLL_S = 0.02
KILLED_S = 5.0
"""A killed process that is there for longer waits for a disk, and will do no more harm."""
SAME_START_S = 2.0
"""The start of a process is known to this only: it is counted from the boot, whose time is corrected now and then."""


@dataclass(frozen=True, slots=True)
class Leader:
    """A process that is told from a later one with the same id by when it started.

    Attributes
    ----------
    pid : int
    started_s : float
        Seconds since 1970.
    """

    pid: int
    started_s: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the process that has the id now.

        Raises
        ------
        psutil.NoSuchProcess
            If there is none.
        """
        return cls(pid, psutil.Process(pid).create_time())

    @classmethod
    def of_this_process(cls) -> Self:
        """Return the process that asks."""
        return cls.of(os.getpid())

    def is_alive(self) -> bool:
        """Say whether the process runs; one that nobody has buried yet does not."""
        try:
            process = psutil.Process(self.pid)
            is_same = abs(process.create_time() - self.started_s) < SAME_START_S
            return is_same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def members(self) -> list[int]:
        """Return the ids of the session's running processes, also when the leader itself is gone."""
        if _is_another(self):
            return []
        return [pid for pid in psutil.pids() if in_session(pid, self.pid) and _is_running(pid)]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the leader, if it runs."""
        if self.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill_session(self) -> None:
        """Kill everything that is left of the session, and wait for its end, which a busy machine delays."""
        wait_until(self._killed, lambda: KILLED_S)

    def _killed(self) -> bool:
        """Kill the members and say whether there were none; another time may find some that were forked meanwhile."""
        members = self.members()
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not members


def in_session(pid: int, leader_pid: int) -> bool:
    """Say whether a process belongs to the session of a leader."""
    try:
        return os.getsid(pid) == leader_pid
    except OSError:  # it ended just now, or it is another user's
        return False


def children_in_session(workers: Iterable[Worker], leader_pid: int) -> list[Worker]:
    """Return the children on record, of all machines, that run on this one in the session of a leader."""
    host = socket.gethostname()
    return [worker for worker in workers if worker.host == host and in_session(worker.pid, leader_pid)]


def memory_mb(pids: list[int]) -> float | None:
    """Return the memory of processes, shared pages counted in parts (PSS); None where the system does not tell."""
    total_kb = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except FileNotFoundError:
            if not Path("/proc/self/smaps_rollup").exists():
                return None
        except ProcessLookupError:
            continue
        else:
            total_kb += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return round(total_kb / 1024, 1)


def wait_until(is_done: Callable[[], bool], timeout_s: Callable[[], float]) -> bool:
    """Wait until something is done, and say whether it is; the time-out may be shortened meanwhile."""
    start = time.monotonic()
    while not is_done():
        if time.monotonic() - start > timeout_s():
            return False
        time.sleep(POLL_S)
    return True


def _is_another(leader: Leader) -> bool:
    """Say whether the id is that of a later process."""
    try:
        return abs(psutil.Process(leader.pid).create_time() - leader.started_s) >= SAME_START_S
    except psutil.NoSuchProcess:
        return False


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
