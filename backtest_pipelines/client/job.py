"""A job of the service as the client sees it: what was submitted, how it stands, and what can be done with it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from backtest_pipelines.client.errors import (
    JobCancelledError,
    JobFailedError,
    JobNotFinishedError,
    WaitTimeoutError,
)

if TYPE_CHECKING:
    from backtest_pipelines.client.answers import Result
    from backtest_pipelines.client.client import Client
    from backtest_pipelines.graphql.replies import LogLine

Status = Literal["pending", "running", "completed", "failed"]
State = Literal["queued", "starting", "running", "completed", "failed", "cancelling", "cancelled"]
FIRST_POLL_S = 0.02
LONGEST_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job has no answer: class of the error (or ``cancelled``), and its message."""

    type: str
    message: str


@dataclass(frozen=True, slots=True)
class JobStatus:
    """How a job stood at one moment.

    Attributes
    ----------
    status : {"pending", "running", "completed", "failed"}
    state : {"queued", "starting", "running", "completed", "failed", "cancelling", "cancelled"}
        The same more finely: pending is queued or starting, running may be cancelling, failed may be cancelled.
    progress : float
        0 to 1.
    attempts : int
        How often it was started.
    run_id : str or None
        Dagster's run of the last attempt.
    fingerprint : str or None
        Identity of the answer, once completed.
    execution_id : int or None
        Its row in the table of executions.
    duration_ms : float or None
        Of the question alone, without queue and start.
    row_count : int or None
        Number of trades.
    error : JobError or None
    """

    status: Status
    state: State
    progress: float
    attempts: int
    run_id: str | None
    fingerprint: str | None
    execution_id: int | None
    duration_ms: float | None
    row_count: int | None
    error: JobError | None

    @property
    def finished(self) -> bool:
        """Whether it will not change any more."""
        return self.status in ("completed", "failed")


@dataclass(frozen=True, slots=True)
class JobLog:
    """A piece of the log of one attempt, and where the next piece begins.

    Attributes
    ----------
    run_id : str or None
        Dagster's run of the attempt; None: none was started yet.
    lines : tuple of LogLine
        Time in UTC, level such as ``INFO``, message, step or None.
    cursor : str or None
    has_more : bool
        Whether more lines are there already.
    """

    run_id: str | None
    lines: tuple[LogLine, ...]
    cursor: str | None
    has_more: bool


@dataclass(frozen=True, slots=True)
class Job:
    """A job that the service has accepted.

    Attributes
    ----------
    job_id, request_id, variant, symbol : str
    request : Mapping
        The question as the service understood it.
    submitted_at : datetime
        UTC.
    snapshot : JobStatus
        How it stood when it was read.
    """

    job_id: str
    request_id: str | None
    variant: str
    symbol: str
    request: Mapping[str, Any]
    submitted_at: datetime
    snapshot: JobStatus
    client: Client = field(repr=False, compare=False)

    def status(self) -> JobStatus:
        """Return how the job stands now.

        Raises
        ------
        UnknownJobError
            If the service has forgotten it.
        """
        return self.snapshot if self.snapshot.finished else self.client.job(self.job_id).snapshot

    def wait(self, timeout_s: float | None = None, on_change: Callable[[JobStatus], None] | None = None) -> JobStatus:
        """Wait until the job has ended, and return how.

        Parameters
        ----------
        timeout_s : float, optional
            Default: as long as it takes.
        on_change : callable, optional
            Called with the first status and each one that differs from the one before.

        Raises
        ------
        WaitTimeoutError
            If it takes longer; the job goes on.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        pause_s, before = FIRST_POLL_S, None
        while True:
            now = self.status()
            if on_change and now != before:
                on_change(now)
            if now.finished:
                return now
            left_s = LONGEST_POLL_S if deadline is None else deadline - time.monotonic()
            if left_s <= 0:
                msg = f"job {self.job_id} is {now.state} after {timeout_s:g} s; it goes on"
                raise WaitTimeoutError(msg)
            time.sleep(min(pause_s, left_s))
            pause_s, before = min(1.3 * pause_s, LONGEST_POLL_S), now

    def result(self) -> Result:
        """Return the answer.

        Raises
        ------
        JobNotFinishedError
            If there is none yet: `wait` first.
        JobFailedError, JobCancelledError
            If there will be none.
        MissingDataError
            If it is not kept any more: submit the question again.
        """
        now = self.status()
        if now.fingerprint is not None:
            return self.client.result(now.fingerprint)
        if now.state == "cancelled":
            msg = f"job {self.job_id} was cancelled"
            raise JobCancelledError(msg)
        if now.error is not None:
            raise JobFailedError(self.job_id, now.error.type, now.error.message)
        msg = f"job {self.job_id} is {now.state}; wait until it has ended"
        raise JobNotFinishedError(msg)

    def cancel(self) -> None:
        """Cancel the job; once more does no harm.

        Raises
        ------
        JobFinishedError
            If it has ended.
        """
        self.client.cancel(self.job_id)

    def logs(self, after: JobLog | None = None) -> JobLog:
        """Return a piece of the log of the job's last attempt.

        Parameters
        ----------
        after : JobLog, optional
            The piece before. Where the job was started anew since, the log of the new attempt begins.
        """
        return self.client.logs(self.job_id, after)


def job_from(content: Mapping[str, Any], client: Client) -> Job:
    """Return the job that the service describes."""
    error = content["error"]
    return Job(
        job_id=content["job_id"],
        request_id=content["request_id"],
        variant=content["variant"],
        symbol=content["symbol"],
        request=content["request"],
        submitted_at=datetime.fromisoformat(content["submitted_at"]),
        snapshot=JobStatus(
            status=content["status"],
            state=content["state"],
            progress=content["progress"],
            attempts=content["attempts"],
            run_id=content["run_id"],
            fingerprint=content["fingerprint"],
            execution_id=content["execution_id"],
            duration_ms=content["duration_ms"],
            row_count=content["row_count"],
            error=None if error is None else JobError(error["type"], error["message"]),
        ),
        client=client,
    )
