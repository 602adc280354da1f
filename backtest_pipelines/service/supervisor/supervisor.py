"""The loop over the children: starts each when what it needs answers, restarts what dies, stops all in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.service.supervisor.child import Child

STARTING_LOOK_S = 0.05
LOOK_S = 0.2
GIVEN_UP_AFTER = 3
"""Failures in a row before everything has answered once: then it is no accident."""


class Supervisor:
    """Watches the children from a thread of its own, from `start` until `stop`.

    Parameters
    ----------
    children : sequence of Child
        In the order of their start; stopped in the reverse order.
    on_change : callable
        Called from the thread whenever the state of a child has changed.
    on_event : callable
        Called from the thread with a sentence for the user.
    """

    def __init__(
        self, children: Sequence[Child], *, on_change: Callable[[], None], on_event: Callable[[str], None]
    ) -> None:
        self.children = tuple(children)
        self._on_change = on_change
        self._on_event = on_event
        self._seen: object = None
        self._is_ready = threading.Event()
        self._stopping = threading.Event()
        self._hastened = threading.Event()
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="supervisor")

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def wait_until_ready(self, show: Callable[[], None] = lambda: None) -> None:
        """Wait until everything answers.

        Parameters
        ----------
        show : callable
            Called now and then meanwhile.

        Raises
        ------
        UnavailableError
            If something cannot be started; by then everything is stopped again.
        """
        while not self._is_ready.wait(LOOK_S):
            show()
            if self._ended.is_set():
                self.wait()
                msg = "it was stopped before everything had started"
                raise UnavailableError(msg)

    def wait(self) -> None:
        """Wait until everything is stopped, and raise what ended the watch, if it was an error."""
        self._ended.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Ask for the end; a second time, with haste: what does not end within a second is killed."""
        if self._stopping.is_set():
            self._hastened.set()
        self._stopping.set()

    @property
    def is_ready(self) -> bool:
        """Whether everything has answered since the start."""
        return self._is_ready.is_set()

    @property
    def ready_count(self) -> int:
        """Number of children that answer just now, or have done their work."""
        return sum(child.is_ready for child in self.children)

    @property
    def has_ended(self) -> bool:
        """Whether everything is stopped."""
        return self._ended.is_set()

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._look()
                self._stopping.wait(LOOK_S if self.is_ready else STARTING_LOOK_S)
        except BaseException as error:  # noqa: BLE001 - raised again by `wait`, in the thread that waits
            self._error = error
        finally:
            self._stopping.set()
            try:
                self._stop_children()
            finally:
                self._ended.set()

    def _look(self) -> None:
        for child in self.children:
            if child.state == "waiting" and all(self._answers(name) for name in child.part.needs):
                child.start()
                self._tell_change()
            failure = child.look()
            if not self.is_ready:
                if child.complaint:
                    raise child.error(f"cannot answer: {child.complaint}")
                if child.failures >= GIVEN_UP_AFTER:
                    raise child.error(f"{failure}, {GIVEN_UP_AFTER} times in a row")
            if failure is not None:
                self._on_event(f"{child.part.name} {failure}; it is started again (log: {child.log})")
            self._tell_change()
        if not self.is_ready and self.ready_count == len(self.children):
            self._is_ready.set()
            self._on_change()

    def _answers(self, name: str) -> bool:
        return all(child.is_ready for child in self.children if child.part.name == name)

    def _tell_change(self) -> None:
        seen = [(child.state, child.leader) for child in self.children]
        if seen != self._seen:
            self._seen = seen
            self._on_change()

    def _stop_children(self) -> None:
        self._on_change()
        for child in reversed(self.children):
            child.stop(self._hastened.is_set)
            self._tell_change()
