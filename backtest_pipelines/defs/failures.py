"""The one place where errors become Dagster failures: what a retry cannot help is tried once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
from sqlalchemy.exc import DBAPIError, OperationalError

from backtest_pipelines.errors import (
    BacktestError,
    BadDataError,
    BadRequestError,
    OutOfMemoryError,
    TimeLimitError,
    UnavailableError,
)

RETRY_WHEN_UNAVAILABLE = dg.RetryPolicy(
    max_retries=4, delay=0.5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
"""Pauses of about 0.5, 1.5, 3.5 and 7.5 seconds, for failures that allow retries."""

WHAT_TO_DO: tuple[tuple[type[BacktestError], str], ...] = (
    (BadRequestError, "Change the config and launch again."),
    (BadDataError, "Replace the file and launch again."),
    (
        UnavailableError,
        "It is tried again by itself; if it keeps failing, look at the service or the disk named.",
    ),
    (TimeLimitError, "Ask for fewer dates or parameter sets, or raise the limit, and launch again."),
    (OutOfMemoryError, "Ask for fewer dates or parameter sets, or give the worker more memory, and launch again."),
)


@contextmanager
def dagster_failures() -> Iterator[None]:
    """Raise every error of the body as a `dagster.Failure` that says whether a retry can help."""
    try:
        yield
    except dg.Failure:
        raise
    except dg.DagsterExecutionInterruptedError as interrupt:
        if _is_cancelled():
            raise cancelled() from interrupt
        raise
    except MemoryError as error:
        raise failure(OutOfMemoryError("the process got no more memory")) from error
    except Exception as error:
        raise failure(error) from error


def skipped(error: BacktestError) -> dg.SkipReason:
    """Return why a tick is skipped, for an error that stays; one that may pass is raised, and the tick tried again."""
    if error.retry_can_help:
        raise error
    return dg.SkipReason(f"{type(error).__name__}: {error}")


def cancelled() -> dg.Failure:
    """Return the failure of a step whose run is cancelled: after an interrupt a retry policy would try it again."""
    return dg.Failure("Cancelled.", metadata={"error_type": "cancelled"}, allow_retries=False)


def _is_cancelled() -> bool:
    try:
        context = dg.OpExecutionContext.get()
    except dg.DagsterInvariantViolationError:
        return False  # in a sensor or a schedule
    run = context.instance.get_run_by_id(context.run_id)
    return run is not None and run.status == dg.DagsterRunStatus.CANCELING


def failure(error: Exception) -> dg.Failure:
    """Return the failure for an error, with what is known of it as metadata.

    An error outside the tree of `errors.py` is a bug: it is tried once, its traceback is kept as the cause.
    """
    if is_away(error) and not isinstance(error, UnavailableError):
        error = UnavailableError(f"Dagster's storage does not answer: {error}")
    kind = type(error).__name__
    metadata: dict[str, str | bool] = {"error_type": kind}
    retry_can_help = isinstance(error, BacktestError) and error.retry_can_help
    metadata["retry_can_help"] = retry_can_help
    if isinstance(error, BadRequestError):
        metadata |= {"field": error.field, "value": repr(error.value), "limit": error.limit}
    elif isinstance(error, BadDataError):
        metadata |= {"name": error.name, "reason": error.reason, "line": str(error.line or "")}
    advice = next((advice for cls, advice in WHAT_TO_DO if isinstance(error, cls)), "")
    if not isinstance(error, BacktestError):
        advice = "This is a bug: please report it with the traceback below."
    return dg.Failure(
        description=f"{kind}: {error}\n{advice}".rstrip(), metadata=metadata, allow_retries=retry_can_help
    )


def is_away(error: Exception) -> bool:
    """Say whether a database, ours or Dagster's, could not be reached, rather than that it refused a statement."""
    if isinstance(error, UnavailableError):
        return True
    found = error if isinstance(error, DBAPIError) else error.__cause__  # dagster-postgres wraps what it tried again
    return isinstance(found, DBAPIError) and (found.connection_invalidated or isinstance(found, OperationalError))
