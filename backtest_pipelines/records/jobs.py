"""What callers of the API asked for: one row a request, whatever becomes of it. Each change is one statement."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, cast

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.records.connection import Row
from backtest_pipelines.records.database import Database

EndedState = Literal["completed", "failed", "cancelled"]

_COLUMNS: Final = (
    "job_id, request_id, body_digest, variant, symbol, request, submitted_s, run_id, cancel_requested, launched, "
    "ended_state, ended_s, execution_id"
)
_SELECT: Final = f"SELECT {_COLUMNS} FROM jobs"  # noqa: S608
# The update changes nothing: it makes the statement return the row that is there already.
_ADD: Final = f"""
INSERT INTO jobs (job_id, request_id, body_digest, variant, symbol, request, submitted_s)
VALUES (?, ?, ?, ?, ?, ?, {{now}})
ON CONFLICT (request_id) DO UPDATE SET request_id = excluded.request_id
RETURNING {_COLUMNS}
"""  # noqa: S608
_SET_EXECUTION: Final = f"UPDATE jobs SET execution_id = ? WHERE job_id = ? RETURNING {_COLUMNS}"  # noqa: S608
_ATTACH_FIRST: Final = """
UPDATE jobs SET run_id = ?
WHERE job_id = ? AND (run_id = ? OR cancel_requested = 0 AND ended_state IS NULL AND run_id IS NULL)
"""
_ATTACH_RETRY: Final = """
UPDATE jobs SET run_id = ?
WHERE job_id = ? AND (run_id = ? OR cancel_requested = 0 AND ended_state IS NULL AND run_id = ?)
"""


class RequestConflictError(BadRequestError):
    """The request id was used before, for another request."""


@dataclass(frozen=True, slots=True)
class Job:
    """A request that was accepted.

    Attributes
    ----------
    job_id : str
    request_id : str or None
        The caller's own name for the request.
    body_digest : str
        Of the request's body: equal requests have equal ones.
    variant, symbol : str
    request : str
        JSON of the request's body.
    submitted_at : datetime
        UTC.
    run_id : str or None
        The run that answers it: of several attempts the last one.
    cancel_requested : bool
    launched : bool
        Whether Dagster is known to have its run.
    ended_state : {"completed", "failed", "cancelled"} or None
    ended_at : datetime or None
        UTC.
    execution_id : int
        The id of its execution, set aside for it when it was accepted.
    """

    job_id: str
    request_id: str | None
    body_digest: str
    variant: str
    symbol: str
    request: str
    submitted_at: datetime
    run_id: str | None
    cancel_requested: bool
    launched: bool
    ended_state: EndedState | None
    ended_at: datetime | None
    execution_id: int


class JobRecords:
    """The table of jobs.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, *, request_id: str | None, body_digest: str, variant: str, symbol: str, request: str
    ) -> tuple[Job, bool]:
        """Put a request on record; return its job, and whether this call made it.

        Raises
        ------
        RequestConflictError
            If the request id is on record with another body.
        """
        job_id = str(uuid.uuid4())
        row = (job_id, request_id, body_digest, variant, symbol, request)
        with self._database.transaction() as connection:
            (added,) = connection.execute(_ADD, *row).all()
            if str(added[0]) == job_id:
                number = connection.next_id("executions")
                (added,) = connection.execute(_SET_EXECUTION, number, job_id).all()
        job = _job(added)
        if job.body_digest != body_digest:
            raise RequestConflictError(
                "request_id", request_id, f"it names another request, job {job.job_id}; take a new id for a new request"
            )
        return job, job.job_id == job_id

    def get(self, job_id: str) -> Job | None:
        """Return one job, or None when there is none with that id."""
        jobs = self._jobs(f"{_SELECT} WHERE job_id = ?", job_id)
        return jobs[0] if jobs else None

    def of_run(self, job_id: str, run_id: str) -> Job | None:
        """Return a job if the run is the one that answers it."""
        jobs = self._jobs(f"{_SELECT} WHERE job_id = ? AND run_id = ?", job_id, run_id)
        return jobs[0] if jobs else None

    def of_execution(self, execution_id: int) -> Job | None:
        """Return the job that an execution's id was set aside for, or None when there is none."""
        jobs = self._jobs(f"{_SELECT} WHERE execution_id = ?", execution_id)
        return jobs[0] if jobs else None

    def recent(self, limit: int, variant: str | None = None) -> list[Job]:
        """Return the jobs submitted last, newest first.

        Parameters
        ----------
        limit : int
            At most so many, 1 or more.
        variant : str, optional
            Only of this one.

        Raises
        ------
        BadRequestError
            If the limit is less than 1.
        """
        if limit < 1:
            raise BadRequestError("limit", limit, "it must be 1 or more")
        order = "ORDER BY submitted_s DESC, job_id LIMIT ?"
        if variant is None:
            return self._jobs(f"{_SELECT} {order}", limit)
        return self._jobs(f"{_SELECT} WHERE variant = ? {order}", variant, limit)

    def attach(self, job_id: str, run_id: str, parent_run_id: str | None) -> bool:
        """Make a run the one that answers a job; return whether it is.

        It is where the job has no run yet or, for a retry, where the job's run is the parent, and the job
        neither ended nor is to be cancelled; and where it was attached before.
        """
        if parent_run_id is None:
            return self._changes(_ATTACH_FIRST, run_id, job_id, run_id)
        return self._changes(_ATTACH_RETRY, run_id, job_id, run_id, parent_run_id)

    def detach(self, job_id: str, run_id: str) -> bool:
        """Undo `attach`, and take the job as not launched; return whether the run was attached."""
        return self._changes(
            "UPDATE jobs SET run_id = NULL, launched = 0 WHERE job_id = ? AND run_id = ?", job_id, run_id
        )

    def mark_launched(self, job_id: str) -> None:
        """Note that Dagster has the job's run."""
        self._changes("UPDATE jobs SET launched = 1 WHERE job_id = ?", job_id)

    def request_cancel(self, job_id: str) -> None:
        """Note that the job is to be cancelled: no further run is attached to it."""
        self._changes("UPDATE jobs SET cancel_requested = 1 WHERE job_id = ?", job_id)

    def end(self, job_id: str, state: EndedState) -> None:
        """Note how a job ended; the first note stays."""
        statement = "UPDATE jobs SET ended_state = ?, ended_s = {now} WHERE job_id = ? AND ended_state IS NULL"
        self._changes(statement, state, job_id)

    def unlaunched(self, older_than_s: float) -> list[Job]:
        """Return the jobs not launched some seconds after their submission and not ended, oldest first."""
        condition = "launched = 0 AND ended_state IS NULL AND submitted_s <= {now} - ?"
        return self._jobs(f"{_SELECT} WHERE {condition} ORDER BY submitted_s, job_id", older_than_s)

    def open(self) -> list[Job]:
        """Return the jobs that did not end, oldest first."""
        return self._jobs(f"{_SELECT} WHERE ended_state IS NULL ORDER BY submitted_s, job_id")

    def open_last(self, limit: int, variant: str | None = None) -> list[Job]:
        """Return the jobs submitted last, of those without an end and an execution; at most so many, newest first."""
        condition, wanted = ("", ()) if variant is None else (" AND variant = ?", (variant,))
        # The worker puts the execution on record, and the API looks a moment later whether the job has ended.
        unanswered = "NOT EXISTS (SELECT 1 FROM executions WHERE executions.id = jobs.execution_id)"
        order = "ORDER BY submitted_s DESC, job_id LIMIT ?"
        return self._jobs(f"{_SELECT} WHERE ended_state IS NULL AND {unanswered}{condition} {order}", *wanted, limit)

    def count_open(self) -> int:
        """Return how many jobs did not end."""
        with self._database.connection() as connection:
            ((number,),) = connection.execute("SELECT count(*) FROM jobs WHERE ended_state IS NULL").all()
        return int(str(number))

    def prune(self, keep_s: float) -> int:
        """Delete the jobs that ended longer ago; return how many."""
        with self._database.connection() as connection:
            return connection.execute("DELETE FROM jobs WHERE ended_s < {now} - ?", keep_s).count

    def _jobs(self, statement: str, *parameters: object) -> list[Job]:
        with self._database.connection() as connection:
            return [_job(row) for row in connection.execute(statement, *parameters).all()]

    def _changes(self, statement: str, *parameters: object) -> bool:
        with self._database.connection() as connection:
            return connection.execute(statement, *parameters).count > 0


def _job(row: Row) -> Job:
    job_id, request_id, body_digest, variant, symbol, request, submitted_s, run_id, *rest = row
    cancel_requested, launched, ended_state, ended_s, execution_id = rest
    return Job(
        str(job_id),
        None if request_id is None else str(request_id),
        str(body_digest),
        str(variant),
        str(symbol),
        str(request),
        _utc(submitted_s),
        None if run_id is None else str(run_id),
        bool(cancel_requested),
        bool(launched),
        cast("EndedState | None", ended_state),
        None if ended_s is None else _utc(ended_s),
        int(str(execution_id)),
    )


def _utc(seconds: object) -> datetime:
    return datetime.fromtimestamp(float(str(seconds)), UTC)
