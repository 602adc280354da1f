"""The table of executions: one row per question asked through any door. Metrics are views of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Final, Literal

from backtest_pipelines.errors import BacktestError, BadRequestError, BugError, RunGivenAwayError
from backtest_pipelines.records.connection import Row
from backtest_pipelines.records.database import Connection, Database, DuplicateError
from backtest_pipelines.records.times import utc_text
from backtest_pipelines.records.totals import add_to_totals

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
    run_id, request_id, fingerprint, job_id : str, optional
        Dagster's run; the caller's own id of the request, never used twice; the identity of the question; the job
        that it answers.
    id : int, optional
        Before it is inserted the one that was set aside for its job, if any.
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
    job_id: str | None = None
    id: int | None = None


_COLUMNS: Final = tuple(field.name for field in fields(Execution))
_WRITTEN: Final = _COLUMNS[:-1]
_START, _CACHED = _WRITTEN.index("started_at"), _WRITTEN.index("cached")
_SELECT: Final = f"SELECT {', '.join(_COLUMNS)} FROM executions"  # noqa: S608
_INSERT: Final = f"INSERT INTO executions ({', '.join(_WRITTEN)}) SELECT {', '.join('?' * len(_WRITTEN))}"
_INSERT_WITH_ID: Final = (
    f"INSERT INTO executions ({', '.join(_COLUMNS)}) {{id_given}} SELECT {', '.join('?' * len(_COLUMNS))}"
)
# The claim's row is read under a lock, so that it is not given away between this look and the end of the insertion.
_UNLESS_GIVEN_AWAY: Final = (
    "WHERE coalesce((SELECT state FROM claims WHERE run_id = ? {share}), 'held') NOT IN ('lost', 'cancelled')"
)
_ONCE: Final = "ON CONFLICT DO NOTHING"


class ExecutionRecords:
    """The table of executions. Safe to share between threads, and across a fork.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(self, execution: Execution, *, run_has_ended: bool = False) -> int:
        """Add an execution and return its id.

        Parameters
        ----------
        execution : Execution
        run_has_ended : bool
            True from who looks at a run afterwards: it does not matter then whether the run was given away.

        Raises
        ------
        AlreadyRecordedError
            If its request id, or its attempt of the run for the variant and symbol, is on record.
        RunGivenAwayError
            If its run was given away or cancelled meanwhile.
        BugError
            If its fields contradict each other, or its start has no zone, or it has an id without a job.
        UnavailableError
            If the database is locked for longer than the busy time-out, read-only, full, or does not answer.
        """
        return self.insert_all([execution], run_has_ended=run_has_ended)[0]

    def insert_all(self, executions: Sequence[Execution], *, run_has_ended: bool = False) -> list[int]:
        """Add several executions, or after an error none of them, and return their ids; see `insert`.

        They count in the totals together with being on record. One with the id of a job that has an execution
        already is left out: a job is answered once.
        """
        for execution in executions:
            if execution.started_at.tzinfo is None or (execution.id is None) != (execution.job_id is None):
                raise BugError(
                    f"an execution has a start with a zone, and an id exactly when it has a job: {execution}"
                )
        try:
            with self._database.transaction() as connection:
                ids = [_inserted(connection, execution, fenced=not run_has_ended) for execution in executions]
                added = zip(executions, ids, strict=True)
                add_to_totals(connection, [execution for execution, execution_id in added if execution_id is not None])
        except DuplicateError as error:
            with self._database.connection() as connection:
                raise _already_recorded(connection, executions) from error
        return [execution_id or execution.id or 0 for execution, execution_id in zip(executions, ids, strict=True)]

    def get(self, execution_id: int) -> Execution | None:
        """Return one execution, or None when there is none with that id."""
        rows = self._select(f"{_SELECT} WHERE id = ?", execution_id)
        return rows[0] if rows else None

    def of_run(self, run_id: str) -> list[Execution]:
        """Return the executions that a run recorded, the last one first."""
        return self._select(f"{_SELECT} WHERE run_id = ? ORDER BY id DESC", run_id)

    def last_failures(self, variant: str, limit: int) -> list[Execution]:
        """Return the executions of a variant that failed last, newest first."""
        condition = "variant = ? AND outcome = 'failed'"
        return self._select(f"{_SELECT} WHERE {condition} ORDER BY id DESC LIMIT ?", variant, limit)

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


def _inserted(connection: Connection, execution: Execution, *, fenced: bool = True) -> int | None:
    """Insert a row and return its id, or None where its job has one already."""
    columns = _WRITTEN if execution.id is None else _COLUMNS
    row = [getattr(execution, name) for name in columns]
    row[_START] = utc_text(execution.started_at)
    row[_CACHED] = int(execution.cached)
    statement = _INSERT if execution.id is None else _INSERT_WITH_ID
    condition, run = (_UNLESS_GIVEN_AWAY, (execution.run_id,)) if fenced and execution.run_id else ("WHERE 1 = 1", ())
    conflict = "" if execution.id is None else _ONCE
    inserted = connection.insert(f"{statement} {condition} {conflict}", *row, *run)
    if inserted is None and (execution.id is None or not _is_recorded(connection, execution.id)):
        raise RunGivenAwayError(
            f"run {execution.run_id} was given away or cancelled: this execution of {execution.variant} "
            f"on {execution.symbol} is not recorded"
        )
    return inserted


def _is_recorded(connection: Connection, execution_id: int) -> bool:
    return connection.execute("SELECT 1 FROM executions WHERE id = ?", execution_id).one() is not None


def _already_recorded(connection: Connection, executions: Sequence[Execution]) -> BacktestError:
    by_request = "SELECT id FROM executions WHERE request_id = ?"
    by_run = "SELECT id FROM executions WHERE run_id = ? AND symbol = ? AND variant = ? AND attempt = ?"
    for execution in executions:
        if found := connection.execute(by_request, execution.request_id).one():
            return AlreadyRecordedError("request_id", execution.request_id, int(str(found[0])))
        key = (execution.run_id, execution.symbol, execution.variant, execution.attempt)
        if found := connection.execute(by_run, *key).one():
            return AlreadyRecordedError("run_id", execution.run_id, int(str(found[0])))
    return BugError(f"executions that are recorded together differ in their request or run; got {executions}")


def _execution(row: Row) -> Execution:
    values = dict(zip(_COLUMNS, row, strict=True))
    values["started_at"] = datetime.fromisoformat(str(values["started_at"]))
    values["cached"] = bool(values["cached"])
    return Execution(**values)  # type: ignore[arg-type]
