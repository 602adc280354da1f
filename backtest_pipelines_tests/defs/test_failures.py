"""Which errors of Dagster's storage become failures that are tried again."""

import dagster as dg
import pytest
from dagster_postgres.utils import DagsterPostgresException
from sqlalchemy.exc import OperationalError, ProgrammingError

from backtest_pipelines.defs.failures import dagster_failures

LOST = OperationalError("SELECT 1", None, Exception("server closed the connection unexpectedly"))
REFUSED = ProgrammingError("SELECT 1", None, Exception("there is no such column"))


def after_some_attempts() -> DagsterPostgresException:
    error = DagsterPostgresException("too many retries for DB connection")
    error.__cause__ = LOST
    return error


@pytest.mark.parametrize(
    ("error", "word", "retry_can_help"),
    [
        (LOST, "UnavailableError", True),
        (after_some_attempts(), "UnavailableError", True),
        (REFUSED, "ProgrammingError", False),
    ],
)
def test_a_storage_that_is_away_is_no_bug(error: Exception, word: str, *, retry_can_help: bool) -> None:
    with pytest.raises(dg.Failure) as caught, dagster_failures():
        raise error
    assert caught.value.metadata["error_type"].value == word
    assert caught.value.allow_retries is retry_can_help
