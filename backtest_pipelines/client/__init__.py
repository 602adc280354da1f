"""Python on another machine, or in another process: submit a backtest to the service, wait for it, read its answer.

Talks HTTP to the one port of ``backtest-pipelines up``; imports no Dagster, and neither pyarrow nor pandas before an
answer is read.
"""

from backtest_pipelines.client.client import DEFAULT_URL, Client
from backtest_pipelines.client.errors import (
    JobCancelledError,
    JobFailedError,
    JobFinishedError,
    JobNotFinishedError,
    SubmissionConflictError,
    UnknownJobError,
    WaitTimeoutError,
)
from backtest_pipelines.client.job import Job, JobError, JobLog, JobStatus

__all__ = [
    "DEFAULT_URL",
    "Client",
    "Job",
    "JobCancelledError",
    "JobError",
    "JobFailedError",
    "JobFinishedError",
    "JobLog",
    "JobNotFinishedError",
    "JobStatus",
    "SubmissionConflictError",
    "UnknownJobError",
    "WaitTimeoutError",
]
