"""What execute and jobs answer, and why they fail, as the API describes it: their routes write it without these."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from backtest_pipelines.api.job_views import State, Status

_TIME = "ISO 8601, UTC"


class Answer(BaseModel):
    """The answer to a question."""

    data: list[dict[str, Any]] = Field(description="the trades, with the columns of an answer's table")
    metadata: dict[str, Any] = Field(description="statistics, notices, provenance")


class Completed(BaseModel):
    """A question that was answered at once."""

    execution_id: int
    strategy_name: str
    status: Literal["completed"]
    started_at: str = Field(description=_TIME)
    completed_at: str = Field(description=_TIME)
    duration_ms: float
    cached: bool = Field(description="whether the answer was found and not computed")
    row_count: int = Field(description="number of trades")
    result: Answer


class Accepted(BaseModel):
    """A question that a job answers."""

    execution_id: int = Field(description="under which it will be on record")
    strategy_name: str
    status: Status
    started_at: str = Field(description=f"{_TIME}; when it was submitted")
    job_id: str


class AnswerOfJob(Answer):
    """The answer to a question, and what it took."""

    execution_time_ms: float
    row_count: int = Field(description="number of trades")


class JobResult(BaseModel):
    """What a completed job brought."""

    status: Literal["SUCCESS"]
    strategy: str
    result: AnswerOfJob


class Failure(BaseModel):
    """Why a job or an execution failed."""

    type: str
    message: str


class JobView(BaseModel):
    """A job."""

    job_id: str
    request_id: str | None
    variant: str
    symbol: str
    request: dict[str, Any] = Field(description="what was asked, with every choice made")
    status: Status
    state: State = Field(description="the same, finer")
    progress: float = Field(ge=0, le=1)
    submitted_at: str = Field(description=_TIME)
    run_id: str | None = Field(description="Dagster's run")
    attempts: int
    fingerprint: str | None = Field(description="identity of the answer")
    execution_id: int = Field(description="in the record of executions")
    duration_ms: float | None
    row_count: int | None = Field(description="number of trades")
    error: Failure | None


class JobWithResult(JobView):
    """A job, with its answer."""

    result: JobResult | None = Field(None, description="of a completed job; null where retention removed it")


class UnknownJob(BaseModel):
    """No job, said so that no client waits for ever."""

    job_id: str
    status: Literal["failed"]
    state: Literal["failed"]
    progress: float
    error: Failure
