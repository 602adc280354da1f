"""The body of a job: from a caller's bytes to a checked request, and from that to the run's config."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr

from backtest_pipelines.api.bodies import IDEMPOTENCY_KEY, RequestId, checked, json_of, read_body
from backtest_pipelines.api.question_fields import (
    PARAMETERS_SCHEMA,
    Brokerage,
    ExitAtExpiry,
    FromDate,
    IsoDate,
    Symbol,
    ToDate,
    UseCache,
    VariantName,
)
from backtest_pipelines.api.services import Services
from backtest_pipelines.canonical import canonical_json
from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.records.jobs import Job
from backtest_pipelines.strategies.question import Question


class JobBody(BaseModel):
    """A question, in the words of the command line and the configs."""

    model_config = ConfigDict(extra="forbid")

    variant: VariantName
    symbol: Symbol = "NIFTY"
    parameters: Annotated[
        dict[StrictStr, Any],
        Field(description="By name; absent ones take their default", json_schema_extra=PARAMETERS_SCHEMA),
    ] = {}
    from_date: FromDate = None
    to_date: ToDate = None
    phases: Annotated[list[tuple[IsoDate, IsoDate]], Field(description="Pairs of ISO dates, both included")] = []
    exit_at_expiry: ExitAtExpiry = "close"
    costs: StrictBool = False
    brokerage_inr_per_order: Brokerage = None
    use_cache: UseCache = True
    request_id: RequestId | None = Field(default=None, description="Used once; the same as the header Idempotency-Key")

    def question(self) -> Question:
        """Return the checked question.

        Raises
        ------
        BadRequestError
            Naming field, value and limit.
        """
        return ExecutionRequest(**dict(self)).question()


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A checked request.

    Attributes
    ----------
    request_id : str or None
        The caller's own id of the request.
    question : Question
        What it asks.
    text : str
        The request in its one JSON form: bodies that ask the same have the same.
    how : str
        How it is to be answered, where that is part of what a request id stands for.
    """

    request_id: str | None
    question: Question
    text: str
    how: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of the text and of how it is to be answered, in hexadecimal digits."""
        return hashlib.sha256(f"{self.how}{self.text}".encode()).hexdigest()

    async def add(self, services: Services) -> tuple[Job, bool]:
        """Put the job on record; return it, and whether it is new: one that has the same id and digest is not.

        Raises
        ------
        RequestConflictError
            If the id is another request's.
        """
        return await services.call(
            services.jobs.add,
            request_id=self.request_id,
            body_digest=self.digest,
            variant=self.question.variant.name,
            symbol=self.question.symbol,
            request=self.text,
        )


async def job_request(request: Request) -> JobRequest:
    """Read and check a request for a job.

    Raises
    ------
    BadRequestError, RequestValidationError
        If a field is wrong.
    HTTPException
        If the body is no JSON, or too large.
    """
    body = checked(JobBody, _with_header(request, json_of(await read_body(request))))
    question = body.question()
    text = canonical_text(question, costs=body.costs, use_cache=body.use_cache)
    return JobRequest(body.request_id, question, text)


def canonical_text(question: Question, *, costs: bool, use_cache: bool) -> str:
    """Return a checked request in its one JSON form."""
    return canonical_json({**question.canonical(), "costs": costs, "use_cache": use_cache})


def run_config(asked: Mapping[str, Any]) -> dict[str, object]:
    """Return the config of the run that answers a request.

    Parameters
    ----------
    asked : Mapping
        The content of `JobRequest.text`.
    """
    brokerage = asked["brokerage_inr_per_order"]
    config: dict[str, object] = {
        **{name: value if isinstance(value, int) else float(value) for name, value in asked["parameters"].items()},
        **{name: asked[name] for name in ("from_date", "to_date") if asked[name] is not None},
        "phases": [{"start": start, "end": end} for start, end in asked["phases"]],
        "exit_at_expiry": asked["exit_at_expiry"],
        "costs": asked["costs"],
        "use_cache": asked["use_cache"],
    }
    if brokerage is not None:
        config["brokerage_inr_per_order"] = float(brokerage)
    return {"ops": {asked["variant"]: {"config": config}}}


def _with_header(request: Request, content: object) -> object:
    """Return the body with the header's id as its request id."""
    header = request.headers.get(IDEMPOTENCY_KEY)
    if header is None or not isinstance(content, dict):
        return content
    if (given := content.get("request_id", header)) not in (None, header):
        limit = f"allowed: the same as {IDEMPOTENCY_KEY}, which is {header!r}, or one of them alone"
        raise BadRequestError("request_id", given, limit)
    return {**content, "request_id": header}
