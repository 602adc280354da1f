"""What the client raises beside the errors of the package, and the way from a reply to an error."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from backtest_pipelines.client.transport import NOT_NOW, Reply
from backtest_pipelines.errors import BacktestError, BadRequestError, BugError, UnavailableError


class UnknownJobError(BadRequestError):
    """The service knows no job of this id: it is mistyped, or the job ended so long ago that it was forgotten."""

    def __init__(self, job_id: str) -> None:
        super().__init__("job_id", job_id, "allowed: the id of a job that the service still knows")


class SubmissionConflictError(BadRequestError):
    """The request id was used before, for another question. The caller takes another id, or the same question."""


class JobFinishedError(BadRequestError):
    """The job has ended, so that it can no longer be cancelled."""


class JobNotFinishedError(UnavailableError):
    """The job has no answer yet. The caller waits for it."""


class WaitTimeoutError(UnavailableError, TimeoutError):
    """The job did not end within the time that the caller waits. It goes on."""


class JobFailedError(BacktestError):
    """The job failed.

    Parameters
    ----------
    job_id : str
    error_type : str
        Class of the error, such as ``MissingDataError``, or ``TimeLimitError``, ``OutOfMemoryError``,
        ``WorkerLostError``.
    message : str
    """

    def __init__(self, job_id: str, error_type: str, message: str) -> None:
        super().__init__(f"job {job_id} failed: {error_type}: {message}")
        self.job_id = job_id
        self.error_type = error_type
        self.message = message


class JobCancelledError(BacktestError):
    """The job was cancelled, so that it has no answer."""


def refusal(reply: Reply, request: str) -> BacktestError:
    """Return the error for a reply that is no success.

    Parameters
    ----------
    reply : Reply
        With a problem of RFC 9457 as its body, or anything else where something before the service refused.
    request : str
        Method and path, for the message.
    """
    problem = _problem(reply)
    detail = str(problem.get("detail") or problem.get("title") or HTTPStatus(reply.status).phrase)
    if reply.status in (*NOT_NOW, HTTPStatus.GATEWAY_TIMEOUT):
        return UnavailableError(f"{request}: {detail}")
    if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return BugError(f"{request}: the service failed: {detail}")
    kind = SubmissionConflictError if reply.status == HTTPStatus.CONFLICT else BadRequestError
    if "field" in problem:
        return kind(str(problem["field"]), problem.get("value"), str(problem.get("limit") or detail))
    return kind(request, reply.status, detail)


def _problem(reply: Reply) -> dict[str, Any]:
    try:
        found = json.loads(reply.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
