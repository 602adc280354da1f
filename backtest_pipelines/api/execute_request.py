"""The body of a question that is answered at once: from a caller's bytes to a checked question."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Final

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictStr, ValidationError

from backtest_pipelines.api.bodies import IDEMPOTENCY_KEY, REQUEST_ID, checked, json_of, read_body
from backtest_pipelines.api.job_request import JobRequest, canonical_text
from backtest_pipelines.api.question_fields import (
    PARAMETERS_SCHEMA,
    SYMBOL_SCHEMA,
    Brokerage,
    ExitAtExpiry,
    FromDate,
    IsoDate,
    ToDate,
    UseCache,
    VariantName,
)
from backtest_pipelines.api.strategies import named_variant
from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.strategies.question import Question


class PhaseBody(BaseModel):
    """A trading phase."""

    model_config = ConfigDict(extra="forbid")

    start: Annotated[IsoDate, Field(description="ISO date, included")]
    end: Annotated[IsoDate, Field(description="ISO date, included")]


class ExecuteBody(BaseModel):
    """A question, in the words of the REST API."""

    model_config = ConfigDict(extra="forbid")

    strategy_name: VariantName
    parameters: Annotated[
        dict[StrictStr, Any],
        Field(
            description="By name, with symbol; absent ones take their default",
            json_schema_extra={
                **PARAMETERS_SCHEMA,
                "properties": {**PARAMETERS_SCHEMA["properties"], "symbol": SYMBOL_SCHEMA},
            },
        ),
    ] = {}
    from_date: FromDate = None
    to_date: ToDate = None
    phases: Annotated[list[PhaseBody], Field(description="Without any, every session is traded")] = []
    exit_at_expiry: ExitAtExpiry = "close"
    costs: StrictBool = False
    brokerage_inr_per_order: Brokerage = None
    use_cache: UseCache = True
    async_execution: Annotated[StrictBool, Field(description="true answers at once with the id of a job")] = False

    def request(self) -> ExecutionRequest:
        """Return the same as the use case takes it."""
        parameters = dict(self.parameters)
        return ExecutionRequest(
            variant=self.strategy_name,
            symbol=parameters.pop("symbol", "NIFTY"),
            parameters=parameters,
            from_date=self.from_date,
            to_date=self.to_date,
            phases=[(phase.start, phase.end) for phase in self.phases],
            exit_at_expiry=self.exit_at_expiry,
            costs=self.costs,
            brokerage_inr_per_order=self.brokerage_inr_per_order,
            use_cache=self.use_cache,
            door="rest",
        )


REMEMBERED: Final = 512
REMEMBERED_BYTES: Final = 2_000
"""Bodies that were found right are asked again and again: so many are known by their bytes, up to this size."""


@dataclass(frozen=True, slots=True)
class ExecuteRequest:
    """A checked request.

    Attributes
    ----------
    request : ExecutionRequest
    question : Question
        What it asks.
    is_async : bool
        Whether a job is to answer it.
    key : str or None
        The caller's own id of the request.
    """

    request: ExecutionRequest
    question: Question
    is_async: bool
    key: str | None

    @property
    def job(self) -> JobRequest:
        """The same as a request for a job."""
        text = canonical_text(self.question, costs=self.request.costs, use_cache=self.request.use_cache)
        return JobRequest(self.key, self.question, text, f"execute {self.is_async} ")


async def execute_request(request: Request) -> ExecuteRequest:
    """Read and check a request.

    Raises
    ------
    BadRequestError, RequestValidationError
        If a field or the key is wrong.
    HTTPException
        If the body is no JSON, or too large.
    """
    body = await read_body(request)
    understand = _understood if len(body) <= REMEMBERED_BYTES else _understood.__wrapped__
    return ExecuteRequest(*understand(body), key=_key(request))


@lru_cache(maxsize=REMEMBERED)
def _understood(body: bytes) -> tuple[ExecutionRequest, Question, bool]:
    checked_body = checked(ExecuteBody, json_of(body))
    named_variant("strategy_name", checked_body.strategy_name)
    asked = checked_body.request()
    return asked, asked.question(), checked_body.async_execution


def _key(request: Request) -> str | None:
    given = request.headers.get(IDEMPOTENCY_KEY)
    try:
        return None if given is None else REQUEST_ID.validate_python(given)
    except ValidationError:
        raise BadRequestError(IDEMPOTENCY_KEY, given, "allowed: 1 to 200 visible ASCII characters") from None
