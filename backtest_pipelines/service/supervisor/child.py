"""One process of an installation through its lives: started, asked whether it answers, started again when it dies."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from typing import Literal

import psutil

from backtest_pipelines.errors import BacktestError, UnavailableError
from backtest_pipelines.executions.settings import LOG_FILE_VARIABLE
from backtest_pipelines.retention.logs import turn_over
from backtest_pipelines.service.supervisor.logs import tail
from backtest_pipelines.service.supervisor.sessions import Leader, wait_until

ChildState = Literal["waiting", "starting", "running", "pausing", "done", "stopped"]

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Before each new start; the last one from then on."""
STEADY_S = 60.0
"""A life of this length ends the counting of failures."""
LOOK_AT_LOG_S = 10.0
START_S = 90.0
"""Time to answer in: imports take seconds on a cold or busy machine."""
STOP_S = 10.0
HASTENED_STOP_S = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """What there is to know of one process.

    Attributes
    ----------
    name : str
        Also that of its log.
    command : sequence of str or Path
    is_ready : callable or None
        Says whether the process with the given id answers. None: it does its work and ends with status 0.
    needs : tuple of str
        Parts that must have answered before this one is started for the first time.
    is_well : callable or None
        Asked now and then once it has answered; a process that is not well is killed and started again.
    stop_s : float
        Time to end in after SIGTERM.
    follows_its_log : bool
        Whether it goes on in a new file when its log was renamed.
    """

    name: str
    command: Sequence[str | Path]
    is_ready: Callable[[int], bool] | None
    needs: tuple[str, ...] = ()
    is_well: Callable[[int], bool] | None = None
    stop_s: float = STOP_S
    follows_its_log: bool = False


class Child:
    """The process of a part. Used by one thread.

    Parameters
    ----------
    part : Part
    environ : Mapping of str to str
        The whole environment of the process.
    log_folder : Path

    Attributes
    ----------
    state : ChildState
    restarts : int
        How often it was started again.
    failures : int
        How often it died or did not answer, since its last long life.
    leader : Leader or None
        None where no process runs.
    complaint : str or None
        Why it cannot answer, where waiting does not help.
    """

    def __init__(self, part: Part, environ: Mapping[str, str], log_folder: Path) -> None:
        self.part = part
        self.log = log_folder / f"{part.name}.log"
        self.state: ChildState = "waiting"
        self.restarts = 0
        self.failures = 0
        self.leader: Leader | None = None
        self.complaint: str | None = None
        self._environ = {**environ, LOG_FILE_VARIABLE: str(self.log)} if part.follows_its_log else environ
        self._process: subprocess.Popen[bytes] | None = None
        self._since = 0.0
        self._log_seen_s = 0.0

    @property
    def is_ready(self) -> bool:
        """Whether the process answers, or has done its work."""
        return self.state in ("running", "done")

    def start(self) -> None:
        """Start the process in a session of its own: Ctrl-C reaches the supervisor alone."""
        self.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        turn_over(self.log, is_open=False)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(part) for part in self.part.command],
                env=dict(self._environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        with suppress(psutil.NoSuchProcess):
            self.leader = Leader.of(self._process.pid)
        self._since = time.monotonic()
        self.state = "starting"

    def look(self) -> str | None:
        """Find out what became of the process, and start it again after its pause.

        Returns
        -------
        str or None
            What went wrong, where something did just now.
        """
        if self.state in ("starting", "running") and self._status() is not None:
            return self._ended()
        self._look_at_log()
        lived_s = time.monotonic() - self._since
        if self.state == "starting" and self.part.is_ready is not None:
            if self._answers(self.part.is_ready):
                self.state = "running"
            elif lived_s > START_S:
                return self._failed(self.complaint or f"did not answer within {START_S:.0f} s")
        elif self.state == "running" and self.part.is_well is not None and not self.part.is_well(self._pid()):
            return self._failed("shows no sign of life")
        elif self.state == "pausing" and lived_s > self._pause_s():
            self.restarts += 1
            self.start()
        return None

    def stop(self, is_hastened: Callable[[], bool]) -> None:
        """Ask the process to end; what outlives its time is killed with all that it started."""
        if self.leader is not None:
            self.leader.signal(SIGTERM)
            wait_until(
                lambda: self._status() is not None, lambda: HASTENED_STOP_S if is_hastened() else self.part.stop_s
            )
        self._bury()
        self.state = "stopped"

    def error(self, reason: str) -> UnavailableError:
        """Return the error of a process that cannot be started, with the end of its log."""
        return UnavailableError(f"{self.part.name} {reason}; the end of {self.log}:\n{tail(self.log)}")

    def _look_at_log(self) -> None:
        """Turn a log over that grew large: a process lives for months, and a busy one writes that much in minutes."""
        if time.monotonic() - self._log_seen_s < LOOK_AT_LOG_S:
            return
        self._log_seen_s = time.monotonic()
        with suppress(OSError):  # the process matters more
            turn_over(self.log, is_open=self._process is not None and not self.part.follows_its_log)

    def _answers(self, is_ready: Callable[[int], bool]) -> bool:
        self.complaint = None
        try:
            return is_ready(self._pid())
        except BacktestError as error:
            if not error.retry_can_help:
                self.complaint = str(error)
            return False

    def _ended(self) -> str | None:
        status = self._status()
        if self.part.is_ready is None and status == 0:
            self._bury()
            self.state = "done"
            return None
        return self._failed(f"ended with status {status}")

    def _failed(self, reason: str) -> str:
        self._bury()
        if time.monotonic() - self._since > STEADY_S:
            self.failures = 0
        self.failures += 1
        self._since = time.monotonic()
        self.state = "pausing"
        return reason

    def _bury(self) -> None:
        """Kill what is left of the session: a part's next life must not meet the remains of the last one."""
        if self.leader is not None:
            self.leader.kill_session()
        if self._process is not None:
            self._process.wait()
        self.leader, self._process = None, None

    def _pause_s(self) -> float:
        return PAUSES_S[min(self.failures, len(PAUSES_S)) - 1]

    def _status(self) -> int | None:
        return None if self._process is None else self._process.poll()

    def _pid(self) -> int:
        return 0 if self._process is None else self._process.pid
