"""The steps of an execution: name the question, look its answer up or compute it, and write its row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from backtest_pipelines.executions.compute import compute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.panel.view import MarketView
from backtest_pipelines.records.executions import Execution
from backtest_pipelines.results.codec import CorruptAnswerError, encode
from backtest_pipelines.results.fingerprint import fingerprint
from backtest_pipelines.results.store import Tier
from backtest_pipelines.strategies.question import Question


@dataclass(frozen=True, slots=True)
class Named:
    """A checked question on the data that is there, and with it the identity of its answer.

    Attributes
    ----------
    question : Question
    view : MarketView
        The symbol's market, cut to the question's dates.
    fingerprint : str
    """

    question: Question
    view: MarketView
    fingerprint: str


def name(question: Question, workspace: Workspace) -> Named:
    """Return a question with the data that it is about.

    Raises
    ------
    MissingDataError, BadDataError
        If the data was not ingested, or is damaged.
    """
    view = workspace.panels.symbol(question.symbol).view(question.from_date, question.to_date)
    return Named(question, view, fingerprint(question, view.digest))


@dataclass(frozen=True, slots=True)
class Given:
    """An answer, and where it came from.

    Attributes
    ----------
    bytes : bytes
    tier : {"redis", "file"} or None
        None where it was computed.
    kept_s : float
        Since when it is kept, in seconds since 1970.
    """

    bytes: bytes
    tier: Tier | None
    kept_s: float


def answer(named: Named, workspace: Workspace, *, use_cache: bool) -> Given:
    """Return the bytes of an answer: found, or else computed and kept.

    Raises
    ------
    UnavailableError
        If a file cannot be read or written.
    """
    place = (named.fingerprint, named.question.variant.name, named.question.symbol)
    if use_cache:
        found = workspace.answers.look_up(*place)
        if found is not None:
            return Given(found.bytes, found.tier, found.kept_s)

    def work() -> tuple[bytes, float]:
        if use_cache:
            # An equal question may have ended after this one was looked up and before it got here.
            with suppress(CorruptAnswerError):
                kept = workspace.answers.look_up_file(*place)
                if kept is not None:
                    return kept.bytes, kept.kept_s
        value = encode(compute(named.view, named.question, named.fingerprint))
        return value, workspace.answers.keep(*place, value)

    # Who wants it computed afresh shares nothing with a flight that may find it kept.
    value, kept_s = workspace.computing.run(f"{named.fingerprint}:{use_cache}", work)
    return Given(value, None, kept_s)


def completed_row(
    request: ExecutionRequest,
    named: Named,
    *,
    started_at: datetime,
    duration_ms: float,
    tier: Tier | None,
    row_count: int,
) -> Execution:
    """Return the row of an execution that has its answer."""
    return Execution(
        variant=named.question.variant.name,
        parameters=_canonical_json(named.question.canonical()),
        symbol=named.question.symbol,
        door=request.door,
        started_at=started_at,
        duration_ms=duration_ms,
        outcome="completed",
        cached=tier is not None,
        tier=tier,
        row_count=row_count,
        attempt=request.attempt,
        run_id=request.run_id,
        request_id=request.request_id,
        fingerprint=named.fingerprint,
    )


def failed_row(request: ExecutionRequest, error: Exception, *, started_at: datetime, duration_ms: float) -> Execution:
    """Return the row of an execution that failed."""
    asked = {
        "parameters": {name: str(value) for name, value in request.parameters.items()},
        "from_date": str(request.from_date),
        "to_date": str(request.to_date),
        "phases": str(list(request.phases)),
        "exit_at_expiry": str(request.exit_at_expiry),
        "brokerage_inr_per_order": str(request.brokerage_inr_per_order),
    }
    return Execution(
        variant=str(request.variant),
        parameters=_canonical_json(asked),
        symbol=str(request.symbol),
        door=request.door,
        started_at=started_at,
        duration_ms=duration_ms,
        outcome="failed",
        error_type=type(error).__name__,
        error_message=str(error),
        attempt=request.attempt,
        run_id=request.run_id,
        request_id=request.request_id,
    )


def _canonical_json(content: Mapping[str, object]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
