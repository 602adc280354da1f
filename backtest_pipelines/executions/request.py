"""A question as a user puts it, and how it came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from backtest_pipelines.records.executions import Door
from backtest_pipelines.strategies.question import Question, ask


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
    run_id, request_id, job_id : str or None
        Of Dagster's run, of the caller's request, and of the job that the run may answer.
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
    job_id: str | None = None
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
