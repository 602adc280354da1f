"""The table of executions: one row per question asked through any door. Metrics are views of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Final, Literal

from backtest_pipelines.errors import BadRequestError, BugError, RunGivenAwayError
from backtest_pipelines.records.connection import Row
from backtest_pipelines.records.database import Connection, Database, DuplicateError

Door = Literal["cli", "dagster", "python", "rest"]
Outcome = Literal["completed", "failed"]


class AlreadyRecordedError(BadRequestError):
    """The request, or this attempt of the run for the variant and symbol, is on record already.

    Attributes
    ----------
    execution_id : int
        The row that is on record.
    """

    def __init__(self, field: str, value: object, execution_id: int) -> None:
        super().__init__(field, value, f"it is on record already, as execution {execution_id}")
        self.execution_id = execution_id


@dataclass(frozen=True)
class Execution:
    """One question asked, and what became of it.

    Attributes
    ----------
    variant, symbol : str
    parameters : str
        Canonical JSON.
    door : Door
        Where the question came in.
    started_at : datetime
        With a zone; kept in UTC, to the microsecond.
    duration_ms : float
    outcome : Outcome
    cached : bool
        Whether the answer was found and not computed.
    tier : "redis" or "file", optional
        Where it was found; None exactly when not cached.
    row_count : int, optional
        Trades of the answer.
    error_type, error_message : str, optional
        Class name and words of the error; the type is given exactly when the outcome is "failed".
    attempt : int
        From 1.
    run_id, request_id, fingerprint : str, optional
        Dagster's run; the caller's own id of the request, never used twice; the identity of the question.
    id : int, optional
        None before it is inserted.
    """

    variant: str
    parameters: str
    symbol: str
    door: Door
    started_at: datetime
    duration_ms: float
    outcome: Outcome
    cached: bool = False
    tier: Literal["redis", "file"] | None = None
    row_count: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    attempt: int = 1
    run_id: str | None = None
    request_id: str | None = None
    fingerprint: str | None = None
    id: int | None = None


_COLUMNS: Final = tuple(field.name for field in fields(Execution))
_WRITTEN: Final = _COLUMNS[:-1]
_START, _CACHED = _WRITTEN.index("started_at"), _WRITTEN.index("cached")
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM executions"  # noqa: S608
_INSERT: Final = f"INSERT INTO executions ({', '.join(_WRITTEN)}) SELECT {', '.join('?' * len(_WRITTEN))}"
# The claim's row is read under a lock, so that it is not given away between this look and the end of the insertion.
_UNLESS_GIVEN_AWAY: Final = (
    "WHERE coalesce((SELECT state FROM claims WHERE run_id = ? {share}), 'held') NOT IN ('lost', 'cancelled')"
)
_INSERT_OF_RUN: Final = f"{_INSERT} {_UNLESS_GIVEN_AWAY}"


class ExecutionRecords:
    """The table of executions. Safe to share between threads, and across a fork.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, execution: Execution) -> int:
        """Add an execution and return its id.

        Raises
        ------
        AlreadyRecordedError
            If its request id, or its attempt of the run for the variant and symbol, is on record.
        RunGivenAwayError
            If its run was given away or cancelled meanwhile.
        BugError
            If its fields contradict each other, its start has no zone, or it has an id.
        UnavailableError
            If the database is locked for longer than the busy time-out, read-only, full, or does not answer.
        """
        if execution.id is not None or execution.started_at.tzinfo is None:
            raise BugError(f"an execution to insert has no id and a start with a zone; got {execution}")
        start = execution.started_at.astimezone(UTC).isoformat(timespec="microseconds")
        row = [getattr(execution, name) for name in _WRITTEN]
        row[_START], row[_CACHED] = start, int(execution.cached)
        with self._database.connection() as connection:
            try:
                if execution.run_id is None:
                    inserted = connection.insert(_INSERT, *row)
                else:
                    inserted = connection.insert(_INSERT_OF_RUN, *row, execution.run_id)
            except DuplicateError as error:
                raise _already_recorded(connection, execution) from error
        if inserted is None:
            raise RunGivenAwayError(
                f"run {execution.run_id} was given away or cancelled: this execution of {execution.variant} "
                f"on {execution.symbol} is not recorded"
            )
        return inserted

    def get(self, execution_id: int) -> Execution | None:
        """Return one execution, or None when there is none with that id."""
        rows = self._select(f"{_SELECT} WHERE id = ?", execution_id)
        return rows[0] if rows else None

    def of_run(self, run_id: str) -> Execution | None:
        """Return the execution that a run recorded last, or None when it recorded none."""
        rows = self._select(f"{_SELECT} WHERE run_id = ? ORDER BY id DESC LIMIT 1", run_id)
        return rows[0] if rows else None

    def recent(self, limit: int, variant: str | None = None, outcome: Outcome | None = None) -> list[Execution]:
        """Return the executions that started last, newest first.

        Parameters
        ----------
        limit : int
            At most so many, 1 or more.
        variant, outcome : optional
            Only those.

        Raises
        ------
        BadRequestError
            If the limit is less than 1.
        """
        if limit < 1:
            raise BadRequestError("limit", limit, "it must be 1 or more")
        wanted = {"variant = ?": variant, "outcome = ?": outcome}
        conditions = {text: value for text, value in wanted.items() if value is not None}
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        order = " ORDER BY started_at DESC, id DESC LIMIT ?"
        return self._select(_SELECT + where + order, *conditions.values(), limit)

    def _select(self, statement: str, *values: object) -> list[Execution]:
        with self._database.connection() as connection:
            return [_execution(row) for row in connection.execute(statement, *values).all()]


def _already_recorded(connection: Connection, execution: Execution) -> AlreadyRecordedError:
    by_request = "SELECT id FROM executions WHERE request_id = ?"
    by_run = "SELECT id FROM executions WHERE run_id = ? AND symbol = ? AND variant = ? AND attempt = ?"
    found = connection.execute(by_request, execution.request_id).one()
    if found is not None:
        return AlreadyRecordedError("request_id", execution.request_id, int(str(found[0])))
    key = (execution.run_id, execution.symbol, execution.variant, execution.attempt)
    (execution_id,) = connection.execute(by_run, *key).all()[0]
    return AlreadyRecordedError("run_id", execution.run_id, int(str(execution_id)))


def _execution(row: Row) -> Execution:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["started_at"] = datetime.fromisoformat(str(values["started_at"]))
    values["cached"] = bool(values["cached"])
    return Execution(**values)  # type: ignore[arg-type]
