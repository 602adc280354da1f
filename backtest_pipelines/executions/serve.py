"""`serve`: what `execute` does, for a server that answers many at once and puts what completed on record together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.executions.answering import Named, name
from backtest_pipelines.executions.attempt import Attempt, record_failure
from backtest_pipelines.executions.rendering import Rendered, kept_renderings, made_of_kept_answer, rendered
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.records.executions import Execution
from backtest_pipelines.records.jobs import Job
from backtest_pipelines.results.store import Place
from backtest_pipelines.strategies.question import Question

P = ParamSpec("P")
T = TypeVar("T")


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


def serve_found(
    asked: Sequence[tuple[ExecutionRequest, Question]], workspace: Workspace
) -> list[Served | Exception | None]:
    """Answer requests that came together, for one question to Redis; failures are put on record.

    Parameters
    ----------
    asked : sequence of (ExecutionRequest, Question)
        Each request, and the same checked.
    workspace : Workspace

    Returns
    -------
    list of Served, Exception or None
        For each request its answer, where one is kept; what `serve` would raise; or None, where `serve` is to compute
        it.
    """
    attempts = [Attempt(request) for request, _ in asked]
    named = [_tried(name, question, workspace) if request.use_cache else None for request, question in asked]
    places = {each.place for each in named if isinstance(each, Named)}
    kept = _tried(kept_renderings, list(places), workspace)
    outcomes: list[Served | Exception | None] = []
    for attempt, each in zip(attempts, named, strict=True):
        outcome = _tried(_found, attempt, each, kept, workspace) if isinstance(each, Named) else each
        if isinstance(outcome, Exception):
            record_failure(attempt.failed(outcome), workspace.records)
        outcomes.append(outcome)
    return outcomes


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


def _found(
    attempt: Attempt, named: Named, kept: dict[Place, Rendered] | Exception, workspace: Workspace
) -> Served | None:
    if isinstance(kept, Exception):
        # Each gets an error of its own: one that is raised in several tasks collects the tracebacks of all.
        raise UnavailableError(str(kept)) if isinstance(kept, UnavailableError) else kept
    answer = kept.get(named.place) or made_of_kept_answer(named.place, workspace)
    if answer is None:
        return None
    kept[named.place] = answer
    return Served(attempt.completed(named, answer.tier, answer.row_count), answer)


def _tried(step: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T | Exception:
    try:
        return step(*arguments, **keywords)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller must hear of it
        return error
