"""`execute`: the one use case. Every door calls it: validate, look up, compute, keep, record."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from time import perf_counter
from typing import Literal

from backtest_pipelines.errors import BacktestError
from backtest_pipelines.executions.compute import compute
from backtest_pipelines.executions.log import log_execution
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.panel.view import MarketView
from backtest_pipelines.records.executions import Door, Execution
from backtest_pipelines.results.answer import Answer
from backtest_pipelines.results.codec import CorruptAnswerError, decode, encode
from backtest_pipelines.results.fingerprint import fingerprint
from backtest_pipelines.strategies.question import Question, ask

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExecutionRequest:
    """A question as a user puts it, not yet checked, and how it came in.

    Attributes
    ----------
    variant, symbol, parameters, from_date, to_date, phases, exit_at_expiry, costs, brokerage_inr_per_order
        See `backtest_pipelines.strategies.question.ask`.
    use_cache : bool
        False computes afresh; the answer is kept all the same.
    door : Door
        Where the request came in.
    run_id, request_id : str or None
        Of Dagster's run, and of the caller's request.
    attempt : int
        From 1.
    """

    variant: str
    symbol: str = "NIFTY"
    parameters: Mapping[str, object] = field(default_factory=dict)
    from_date: date | str | None = None
    to_date: date | str | None = None
    phases: Sequence[tuple[date | str, date | str]] = ()
    exit_at_expiry: str = "close"
    costs: bool = False
    brokerage_inr_per_order: object = None
    use_cache: bool = True
    door: Door = "python"
    run_id: str | None = None
    request_id: str | None = None
    attempt: int = 1

    def question(self) -> Question:
        """Return the checked question.

        Raises
        ------
        BadRequestError
            Naming field, value and limit.
        """
        return ask(
            self.variant,
            self.symbol,
            self.parameters,
            from_date=self.from_date,
            to_date=self.to_date,
            phases=self.phases,
            exit_at_expiry=self.exit_at_expiry,
            costs=self.costs,
            brokerage_inr_per_order=self.brokerage_inr_per_order,
        )


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
    encoded: bytes
    answer: Answer

    @property
    def cached(self) -> bool:
        """Whether the answer was found and not computed."""
        return self.tier is not None


def execute(request: ExecutionRequest, workspace: Workspace) -> Executed:
    """Answer a request and put it on record; failures are recorded too, then raised.

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
    started_at, start = datetime.now(UTC), perf_counter()
    try:
        question = request.question()
        view = workspace.panels.symbol(question.symbol).view(question.from_date, question.to_date)
        identity = fingerprint(question, view.digest)
        found = (
            workspace.answers.look_up(identity, question.variant.name, question.symbol) if request.use_cache else None
        )
        tier = found.tier if found else None
        encoded = found.bytes if found else _computed(request, workspace, view, question, identity)
        answer = decode(encoded)
    except Exception as error:
        _record_failure(request, workspace, started_at, (perf_counter() - start) * 1000, error)
        raise
    duration_ms = (perf_counter() - start) * 1000
    execution_id = workspace.records.insert(
        execution := Execution(
            variant=question.variant.name,
            parameters=_canonical_json(question.canonical()),
            symbol=question.symbol,
            door=request.door,
            started_at=started_at,
            duration_ms=duration_ms,
            outcome="completed",
            cached=tier is not None,
            tier=tier,
            row_count=answer.row_count,
            attempt=request.attempt,
            run_id=request.run_id,
            request_id=request.request_id,
            fingerprint=identity,
        )
    )
    log_execution(execution, execution_id)
    return Executed(execution_id, question, identity, tier, duration_ms, encoded, answer)


def _computed(
    request: ExecutionRequest, workspace: Workspace, view: MarketView, question: Question, identity: str
) -> bytes:
    def work() -> bytes:
        if request.use_cache:
            # An equal question may have ended after this one was looked up and before it got here.
            with suppress(CorruptAnswerError):
                kept = workspace.answers.files.read(identity)
                if kept is not None:
                    return kept
        value = encode(compute(view, question, identity))
        workspace.answers.keep(identity, question.variant.name, question.symbol, value)
        return value

    # Who wants it computed afresh shares nothing with a flight that may find it kept.
    return workspace.computing.run(f"{identity}:{request.use_cache}", work)


def _record_failure(
    request: ExecutionRequest,
    workspace: Workspace,
    started_at: datetime,
    duration_ms: float,
    error: Exception,
) -> None:
    asked = {
        "parameters": {name: str(value) for name, value in request.parameters.items()},
        "from_date": str(request.from_date),
        "to_date": str(request.to_date),
        "phases": str(list(request.phases)),
        "exit_at_expiry": str(request.exit_at_expiry),
        "brokerage_inr_per_order": str(request.brokerage_inr_per_order),
    }
    failure = Execution(
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
    try:
        log_execution(failure, workspace.records.insert(failure))
    except BacktestError as unrecorded:
        # The caller is owed the first error; that it is not on record is said in the log.
        logger.warning("A failed execution is not on record: %s", unrecorded)


def _canonical_json(content: Mapping[str, object]) -> str:
    return json.dumps(content, sort_keys=True, separators=(",", ":"))
