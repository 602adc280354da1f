"""Dagster's web server, asked by who started it: whether it is ready, and for a run from its launch to its end."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError

from backtest_pipelines.errors import BugError, UnavailableError
from backtest_pipelines.graphql import documents, replies

POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended.

    Attributes
    ----------
    status : {"SUCCESS", "FAILURE", "CANCELED"}
    metadata : Mapping of str to value
        Numbers and texts of the last materialization.
    failure : RunFailure or None
        Why it failed.
    """

    status: str
    metadata: Mapping[str, Any]
    failure: replies.RunFailure | None


@dataclass(frozen=True, slots=True)
class WebServer:
    """Dagster's web server at a URL; a reply may take as long as the time-out."""

    url: str
    timeout_s: float = 60.0

    def is_ready(self) -> bool:
        """Say whether the server answers and has loaded the code location.

        Raises
        ------
        BugError
            If the definitions cannot be loaded.
        """
        try:
            return replies.locations_are_loaded(self.ask(documents.LOCATIONS))
        except UnavailableError:
            return False

    def launch(self, job: str, partition: str, config: Mapping[str, object]) -> str:
        """Launch a job for a partition and return the run's id."""
        return replies.launched(self.ask(documents.LAUNCH, execution=documents.execution(job, partition, config)))

    def wait(self, run_id: str, timeout_s: float) -> EndedRun:
        """Wait for the end of a run.

        Raises
        ------
        BugError
            If there is no such run.
        UnavailableError
            If it takes longer.
        """
        deadline = time.monotonic() + timeout_s
        while not (state := self._state(run_id)).has_ended:
            if time.monotonic() > deadline:
                msg = f"run {run_id} did not end within {timeout_s:.0f} s"
                raise UnavailableError(msg)
            time.sleep(POLL_S)
        metadata = replies.metadata(self.ask(documents.METADATA, run=run_id))
        failures = replies.failures(self.ask(documents.FAILURES, runs=[run_id]))
        return EndedRun(state.status, metadata, failures.get(run_id))

    def ask(self, document: str, **variables: object) -> dict[str, Any]:
        """Return the data of the reply to a document.

        Raises
        ------
        UnavailableError
            If the server does not answer, or fails on the way to its answer.
        BugError
            If it refuses the document.
        """
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/graphql", documents.body(document, **variables), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as reply:  # noqa: S310 - loopback
                return replies.data(reply.read())
        except (URLError, ConnectionError, TimeoutError) as error:
            msg = f"the web server at {self.url} does not answer: {error}"
            raise UnavailableError(msg) from error

    def _state(self, run_id: str) -> replies.RunState:
        state = replies.run_state(self.ask(documents.RUN, run=run_id))
        if state is None:
            msg = f"there is no run {run_id}"
            raise BugError(msg)
        return state
