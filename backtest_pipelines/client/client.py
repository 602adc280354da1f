"""The client: each method is one request to the service, sent again when it got lost."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal
from http import HTTPStatus
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import quote, urlencode
from uuid import uuid4

from backtest_pipelines.client.errors import JobFinishedError, UnknownJobError, refusal
from backtest_pipelines.client.job import Job, JobLog, job_from
from backtest_pipelines.client.transport import Reply, Transport
from backtest_pipelines.errors import BadRequestError, MissingDataError, UnavailableError
from backtest_pipelines.graphql import documents, replies

if TYPE_CHECKING:
    from backtest_pipelines.client.answers import Result

URL_VARIABLE = "BACKTEST_API_URL"
TOKEN_VARIABLE = "BACKTEST_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT_URL = "http://127.0.0.1:8000"
JSON = {"Content-Type": "application/json"}

_Read = TypeVar("_Read")


class Client:
    """The service at a URL. May be shared by threads; connections are kept until it is closed.

    Parameters
    ----------
    url : str, optional
        Of the service. Default: ``BACKTEST_API_URL``, without it that of ``backtest-pipelines up`` on this machine.
    token : str, optional
        That the service gave to its user. Default: ``BACKTEST_TOKEN``, without it none.
    timeout_s : float
        For connecting and for each wait for bytes.
    retry_s : float
        How long a request is sent again after a lost connection, 429, 502 or 503, with growing pauses. A submission
        that is sent twice is one job.

    Raises
    ------
    BadRequestError
        If the URL is no address of HTTP, or the token no token.
    """

    def __init__(
        self, url: str | None = None, *, token: str | None = None, timeout_s: float = 30.0, retry_s: float = 10.0
    ) -> None:
        address = url or os.environ.get(URL_VARIABLE, "").strip() or DEFAULT_URL
        shown = token or os.environ.get(TOKEN_VARIABLE, "").strip() or None
        self._transport = Transport(address, shown, timeout_s, retry_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Address of the service."""
        return self._transport.url

    def close(self) -> None:
        """Close the connections. A later request opens another."""
        self._transport.close()

    def ping(self, retry_s: float = 1.0) -> None:
        """Make sure that the service answers.

        Parameters
        ----------
        retry_s : float
            How long to try.

        Raises
        ------
        UnavailableError
            If it does not.
        """
        self._read(
            self._transport.send("GET", "/health", retry_s=retry_s), "GET /health", lambda found: found["status"]
        )

    def submit(  # noqa: PLR0913 - the parts of a question, all but three by keyword
        self,
        variant: str,
        symbol: str = "NIFTY",
        parameters: Mapping[str, object] | None = None,
        *,
        from_date: date | str | None = None,
        to_date: date | str | None = None,
        phases: Iterable[tuple[date | str, date | str]] = (),
        exit_at_expiry: str = "close",
        costs: bool = False,
        brokerage_inr_per_order: object = None,
        use_cache: bool = True,
        request_id: str | None = None,
    ) -> Job:
        """Submit a backtest and return its job at once.

        Parameters
        ----------
        variant, symbol, parameters, from_date, to_date, phases, exit_at_expiry, costs, brokerage_inr_per_order
            See `backtest_pipelines.strategies.question.ask`.
        use_cache : bool
            False computes afresh; the answer is kept all the same.
        request_id : str, optional
            The caller's name for this submission: the same one again gives the same job. Default: a new one.

        Raises
        ------
        BadRequestError
            Naming field, value and limit; nothing was started.
        SubmissionConflictError
            If the request id was used for another question.
        UnavailableError
            If the service does not answer.
        """
        question = {
            "variant": variant,
            "symbol": symbol,
            "parameters": dict(parameters or {}),
            "from_date": from_date,
            "to_date": to_date,
            "phases": [list(phase) for phase in phases],
            "exit_at_expiry": exit_at_expiry,
            "costs": costs,
            "brokerage_inr_per_order": brokerage_inr_per_order,
            "use_cache": use_cache,
            "request_id": str(uuid4()) if request_id is None else request_id,
        }
        reply = self._transport.send("POST", "/api/v1/jobs", _body(question), JSON)
        return self._read(reply, "POST /api/v1/jobs", self._job)

    def job(self, job_id: str) -> Job:
        """Return a job as it stands now.

        Raises
        ------
        UnknownJobError
            If the service knows none of this id.
        """
        path = f"{_job_path(job_id)}?result=false"
        reply = self._transport.send("GET", path)
        if reply.status == HTTPStatus.NOT_FOUND:
            raise UnknownJobError(job_id)
        return self._read(reply, f"GET {path}", self._job)

    def jobs(self, status: str | None = None, variant: str | None = None, limit: int = 50) -> list[Job]:
        """Return the jobs submitted last, the newest first.

        Parameters
        ----------
        status : {"pending", "running", "completed", "failed"}, optional
        variant : str, optional
        limit : int
            How many at most.

        Raises
        ------
        BadRequestError
            Naming field, value and limit.
        """
        wanted = {"status": status, "strategy": variant, "limit": limit}
        path = f"/api/v1/jobs?{urlencode({name: value for name, value in wanted.items() if value is not None})}"
        reply = self._transport.send("GET", path)
        return self._read(reply, f"GET {path}", lambda found: [self._job(job) for job in found])

    def cancel(self, job_id: str) -> None:
        """Cancel a job; once more does no harm.

        Raises
        ------
        UnknownJobError
            If the service knows none of this id.
        JobFinishedError
            If it has ended.
        """
        path = _job_path(job_id)
        reply = self._transport.send("DELETE", path)
        if reply.status == HTTPStatus.NOT_FOUND:
            raise UnknownJobError(job_id)
        if reply.status == HTTPStatus.CONFLICT:
            raise JobFinishedError("job_id", job_id, "allowed: a job that has not ended")
        if reply.status != HTTPStatus.NO_CONTENT:
            raise refusal(reply, f"DELETE {path}")

    def result(self, fingerprint: str) -> Result:
        """Return an answer by its fingerprint.

        Raises
        ------
        MissingDataError
            If the service does not keep it.
        BadRequestError
            If it is no fingerprint.
        CorruptAnswerError
            If the bytes were damaged on their way.
        """
        from backtest_pipelines.client.answers import result_from  # noqa: PLC0415 - pyarrow is slow to import

        path = f"/api/v1/results/{quote(fingerprint, safe='')}"
        reply = self._transport.send("GET", path)
        if reply.status == HTTPStatus.NOT_FOUND:
            msg = f"answer {fingerprint} is not kept by the service at {self.url}: submit the question again"
            raise MissingDataError(msg)
        if reply.status != HTTPStatus.OK:
            raise refusal(reply, f"GET {path}")
        return result_from(reply.body, fingerprint)

    def logs(self, job_id: str, after: JobLog | None = None) -> JobLog:
        """Return a piece of the log of a job's last attempt.

        Parameters
        ----------
        job_id : str
        after : JobLog, optional
            The piece before. Where the job was started anew since, the log of the new attempt begins.

        Raises
        ------
        UnknownJobError
            If the service knows none of this id.
        """
        run_id = self.job(job_id).snapshot.run_id
        cursor = after.cursor if after is not None and after.run_id == run_id else None
        if run_id is None:
            return JobLog(None, (), None, has_more=False)
        reply = self._transport.send(
            "POST", "/graphql", documents.body(documents.LOGS, run=run_id, cursor=cursor), JSON
        )
        if reply.status != HTTPStatus.OK:
            raise refusal(reply, "POST /graphql")
        page = replies.log_page(replies.data(reply.body))
        if page is None:
            return JobLog(run_id, (), cursor, has_more=False)
        return JobLog(run_id, page.lines, page.cursor, page.has_more)

    def _job(self, content: Mapping[str, Any]) -> Job:
        return job_from(content, self)

    def _read(self, reply: Reply, request: str, read: Callable[[Any], _Read]) -> _Read:
        """Return what `read` makes of the JSON of a reply."""
        if reply.status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise refusal(reply, request)
        try:
            return read(json.loads(reply.body))
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{request}: what listens at {self.url} does not answer as this service does: {reply.body[:100]!r}"
            raise UnavailableError(msg) from error


def _job_path(job_id: str) -> str:
    if job_id in ("", ".", ".."):  # as part of a path they would lead elsewhere
        raise UnknownJobError(job_id)
    return f"/api/v1/jobs/{quote(job_id, safe='')}"


def _body(question: Mapping[str, object]) -> bytes:
    fields = []
    for name, value in question.items():
        try:
            fields.append(f"{json.dumps(name)}: {json.dumps(value, default=_plain, allow_nan=False)}")
        except (TypeError, ValueError):
            raise BadRequestError(name, value, "allowed: text, finite numbers, dates") from None
    return f"{{{', '.join(fields)}}}".encode()


def _plain(value: object) -> object:
    """Return a date, a decimal or a number of numpy as what JSON can hold."""
    match value:
        case date():
            return value.isoformat()
        case Decimal():
            return str(value)
        case Integral():
            return int(value)
        case Real():
            return float(value)
    raise TypeError
