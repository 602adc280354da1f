"""What runs on a home: told by the state file, checked against the processes that there are."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.service.supervisor.sessions import Leader, memory_mb, wait_until
from backtest_pipelines.service.supervisor.state import SupervisorState, read_state

DOWN_S = 60.0
"""More than all the times that processes have to end, one after the other."""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """One process, with all that it started.

    Attributes
    ----------
    name : str
    pid : int or None
    state : str
    uptime_s : float or None
    restarts : int
    memory_mb : float or None
        Shared pages counted in parts (PSS); None where the system does not tell.
    """

    name: str
    pid: int | None
    state: str
    uptime_s: float | None
    restarts: int
    memory_mb: float | None

    @property
    def is_up(self) -> bool:
        """Whether it answers."""
        return self.state == "running"


def running_state(home: Path) -> SupervisorState | None:
    """Return the state of a home whose supervisor runs, else None."""
    state = read_state(home)
    return state if state is not None and state.supervisor.is_alive() else None


def process_statuses(state: SupervisorState) -> list[ProcessStatus]:
    """Return the supervisor and its processes, in the order of their start."""
    found = [_status("supervisor", "running", 0, state.supervisor, [state.supervisor.pid])]
    for process in state.processes:
        leader = process.leader
        if process.state == "done":
            continue
        is_gone = leader is not None and not leader.is_alive()
        shown = "dead" if is_gone else process.state
        found.append(_status(process.name, shown, process.restarts, leader, leader.members() if leader else []))
    return found


def stop_supervisor(state: SupervisorState) -> None:
    """Ask a supervisor to stop everything, and wait until all is gone.

    Raises
    ------
    UnavailableError
        If it does not end in time.
    """
    with suppress(ProcessLookupError):
        os.kill(state.supervisor.pid, signal.SIGTERM)
    if not wait_until(lambda: not state.supervisor.is_alive(), lambda: DOWN_S):
        pid = state.supervisor.pid
        msg = f"process {pid} did not stop within {DOWN_S:.0f} s: `kill -9 {pid}`, then down once more"
        raise UnavailableError(msg)


def _status(name: str, state: str, restarts: int, leader: Leader | None, pids: list[int]) -> ProcessStatus:
    return ProcessStatus(
        name,
        None if leader is None else leader.pid,
        state,
        None if leader is None else round(time.time() - leader.started_s, 1),
        restarts,
        memory_mb(pids) if pids else None,
    )
