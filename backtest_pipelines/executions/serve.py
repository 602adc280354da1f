"""`serve`: what `execute` does, for a server that answers many at once and puts what completed on record together."""

from __future__ import annotations

from dataclasses import dataclass

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.executions.answering import name
from backtest_pipelines.executions.attempt import Attempt, record_failure
from backtest_pipelines.executions.rendering import Rendered, rendered
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.records.executions import Execution
from backtest_pipelines.records.jobs import Job
from backtest_pipelines.strategies.question import Question


@dataclass(frozen=True, slots=True)
class Served:
    """An answer, and the row that is yet to be put on record.

    Attributes
    ----------
    row : Execution
    answer : Rendered
    """

    row: Execution
    answer: Rendered


def serve(request: ExecutionRequest, question: Question, workspace: Workspace, job: Job | None = None) -> Served:
    """Answer a request as JSON; failures are put on record, then raised.

    Parameters
    ----------
    request : ExecutionRequest
    question : Question
        The same, checked.
    workspace : Workspace
    job : Job, optional
        That the request is. It is left open after a failure that a retry can mend, which is not on record then.

    Raises
    ------
    MissingDataError, BadDataError
        If the data was not ingested, or is damaged.
    UnavailableError
        If the answer could not be kept, or the data not be read.
    """
    attempt = Attempt(request, job)
    try:
        named = name(question, workspace)
        answer = rendered(named, workspace, use_cache=request.use_cache)
    except Exception as error:
        if job is None or not isinstance(error, UnavailableError):
            record_failure(attempt.failed(error), workspace.records)
        raise
    return Served(attempt.completed(named, answer.tier, answer.row_count), answer)
