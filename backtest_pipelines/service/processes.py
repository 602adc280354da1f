"""Child processes with an end: each has its own session and is stopped, politely first, within a bound."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from backtest_pipelines.errors import UnavailableError

STOP_S = 10.0
"""Time that a process has to end by itself."""
POLL_S = 0.05


def stop_on_signals() -> None:
    """Let SIGINT and SIGTERM raise KeyboardInterrupt in the main thread.

    A shell starts what it puts in the background with SIGINT ignored, and children inherit that; a handler of our own
    is not inherited: a child begins with the default.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


@dataclass
class Processes:
    """The children of this process, stopped in the reverse order of their start.

    Attributes
    ----------
    environ : Mapping of str to str
        Environment of every child.
    log_folder : Path or None
        Where each child's output is kept, as ``NAME.log``; None: the children write to this terminal.
    """

    environ: Mapping[str, str]
    log_folder: Path | None = None
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        """Return self: what is started from here on is stopped at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.stop()

    def start(self, name: str, command: Sequence[str | Path]) -> subprocess.Popen[bytes]:
        """Start a child in a session of its own: Ctrl-C reaches this process alone, which then stops it."""
        if self.log_folder is None:
            child = self._popen(command, None)
        else:
            self.log_folder.mkdir(parents=True, exist_ok=True)
            with (self.log_folder / f"{name}.log").open("wb") as log:
                child = self._popen(command, log.fileno())
        self._running[name] = child
        return child

    def finish(self, name: str, timeout_s: float) -> None:
        """Wait until a child has done its work.

        Raises
        ------
        UnavailableError
            If it takes longer, or ends with another status than 0.
        """
        child = self._running[name]
        self.wait_until(name, lambda: child.poll() is not None, timeout_s)
        del self._running[name]
        if child.returncode:
            raise UnavailableError(self._ended(name, child.returncode))

    def wait_until(self, name: str, is_ready: Callable[[], bool], timeout_s: float) -> None:
        """Wait until a child that goes on running answers.

        Raises
        ------
        UnavailableError
            If it takes longer, or the child ends first.
        """
        deadline = time.monotonic() + timeout_s
        while not is_ready():
            self.check()
            if time.monotonic() > deadline:
                msg = f"{name} did not answer within {timeout_s:.0f} s{self._log_hint(name)}"
                raise UnavailableError(msg)
            time.sleep(POLL_S)

    def check(self) -> None:
        """Raise `UnavailableError` if a child has failed."""
        for name, child in self._running.items():
            if child.poll():
                raise UnavailableError(self._ended(name, child.returncode))

    def stop(self) -> None:
        """Ask all to end, the last one first; what outlives its time is killed with all that it started."""
        children = [child for _, child in reversed(self._running.items())]
        self._running.clear()
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGINT)
        deadline = time.monotonic() + STOP_S
        try:
            for child in children:
                with suppress(subprocess.TimeoutExpired):
                    child.wait(max(0.0, deadline - time.monotonic()))
        finally:
            for child in children:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()

    def _popen(self, command: Sequence[str | Path], output: int | None) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(part) for part in command],
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output is not None else None,
            start_new_session=True,
        )

    def _ended(self, name: str, status: int) -> str:
        return f"{name} ended with status {status}{self._log_hint(name)}"

    def _log_hint(self, name: str) -> str:
        return f"; see {self.log_folder / f'{name}.log'}" if self.log_folder else ""
