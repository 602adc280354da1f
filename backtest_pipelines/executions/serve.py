"""`serve`: what `execute` does, for a server that answers many at once and puts what completed on record together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.executions.answering import name
from backtest_pipelines.executions.attempt import Attempt, record_failure
from backtest_pipelines.executions.rendering import Rendered, found_rendering, rendered
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


def serve_found(request: ExecutionRequest, question: Question, workspace: Workspace) -> Served | None:
    """Answer a request whose answer is kept, or return None where `serve` is to compute it.

    Raises
    ------
    MissingDataError, BadDataError, UnavailableError
        As `serve`.
    """
    attempt = Attempt(request)
    with _failures_on_record(attempt, workspace):
        if not request.use_cache:
            return None
        named = name(question, workspace)
        answer = found_rendering(named.place, workspace)
    return None if answer is None else Served(attempt.completed(named, answer.tier, answer.row_count), answer)


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
    with _failures_on_record(attempt, workspace):
        named = name(question, workspace)
        answer = rendered(named, workspace, use_cache=request.use_cache)
    return Served(attempt.completed(named, answer.tier, answer.row_count), answer)


@contextmanager
def _failures_on_record(attempt: Attempt, workspace: Workspace) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if attempt.job is None or not isinstance(error, UnavailableError):
            record_failure(attempt.failed(error), workspace.records)
        raise
