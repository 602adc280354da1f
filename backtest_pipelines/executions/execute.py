"""`execute`: the one use case. Every door calls it: validate, look up, compute, keep, record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from backtest_pipelines.executions.answering import answer, name
from backtest_pipelines.executions.attempt import Attempt, record_failure
from backtest_pipelines.executions.log import log_execution
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.records.jobs import Job
from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.codec import decode
from backtest_pipelines.strategies.question import Question


@dataclass(frozen=True)
class Executed:
    """What came of a request.

    Attributes
    ----------
    execution_id : int
        Its row in the table of executions.
    question : Question
    fingerprint : str
        Identity of the answer.
    tier : {"redis", "file"} or None
        Where the answer was found; None when it was computed.
    duration_ms : float
        From the check of the request to the bytes of the answer.
    kept_s : float
        When the answer was kept, in seconds since 1970; renderings of it are kept with this time.
    encoded : bytes
        The answer in the store's format.
    answer : Answer
        The same, decoded.
    """

    execution_id: int
    question: Question
    fingerprint: str
    tier: Literal["redis", "file"] | None
    duration_ms: float
    kept_s: float
    encoded: bytes
    answer: Answer

    @property
    def cached(self) -> bool:
        """Whether the answer was found and not computed."""
        return self.tier is not None


def execute(request: ExecutionRequest, workspace: Workspace) -> Executed:
    """Answer a request and put it on record; failures are recorded too, then raised.

    A run that answers a job is on record under the job's execution id. Its failures are not: the job is tried again
    or, once it has failed, put on record by who looks after it.

    Parameters
    ----------
    request : ExecutionRequest
    workspace : Workspace

    Raises
    ------
    BadRequestError
        If the request is wrong; nothing was computed.
    MissingDataError, BadDataError
        If the data was not ingested, or is damaged.
    UnavailableError
        If the answer could not be kept or recorded.
    """
    attempt = Attempt(request, _job(request, workspace))
    try:
        named = name(request.question(), workspace)
        given = answer(named, workspace, use_cache=request.use_cache)
        decoded = decode(given.bytes)
    except Exception as error:
        if attempt.job is None:
            record_failure(attempt.failed(error), workspace.records)
        raise
    row = attempt.completed(named, given.tier, decoded.row_count)
    execution_id = workspace.records.insert(row)
    log_execution(row, execution_id)
    return Executed(
        execution_id,
        named.question,
        named.fingerprint,
        given.tier,
        row.duration_ms,
        given.kept_s,
        given.bytes,
        decoded,
    )


def _job(request: ExecutionRequest, workspace: Workspace) -> Job | None:
    """Return the job that the run answers, if any: a user's own re-execution has its tag, and answers it not."""
    if request.job_id is None or request.run_id is None:
        return None
    return workspace.jobs.of_run(request.job_id, request.run_id)
