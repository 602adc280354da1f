"""Which records of executions are deleted. The totals that metrics are read from are another table and stay.

Rows go in small batches, with pauses between them as long as the batches, so that whoever writes meanwhile waits for
milliseconds. Postgres uses freed pages again once its autovacuum has seen them; an SQLite file gives them back.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from backtest_pipelines.records.database import Database
from backtest_pipelines.records.times import utc_text
from backtest_pipelines.retention.limits import IN_USE_S
from backtest_pipelines.retention.pruned import Pruned

BATCH_S: Final = 0.01
"""What a batch is to take: the next one is larger or smaller accordingly."""
LARGEST_BATCH_ROWS: Final = 2000
_FIRST_BATCH_ROWS: Final = 100
_INCREMENTAL: Final = 2
_BATCH_PAGES: Final = 100

_OLD: Final = """
started_at < ? AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.run_id = executions.run_id)
AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.execution_id = executions.id)
"""
_PLAN: Final = f"""
SELECT count(*), sum(CASE WHEN {_OLD} THEN 1 ELSE 0 END), min(CASE WHEN {_OLD} THEN NULL ELSE started_at END)
FROM executions
"""  # noqa: S608
_NEWEST: Final = "SELECT started_at FROM executions ORDER BY started_at DESC LIMIT 1 OFFSET ?"
_DELETE: Final = f"""
DELETE FROM executions WHERE id IN (SELECT id FROM executions WHERE {_OLD} ORDER BY started_at LIMIT ?)
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class KnownJobs:
    """The jobs on record, whose runs are kept.

    Attributes
    ----------
    job_ids, run_ids : frozenset of str
    """

    job_ids: frozenset[str]
    run_ids: frozenset[str]


def known_jobs(database: Database) -> KnownJobs:
    """Return the jobs on record, those that ended a while ago too: their callers may still ask."""
    with database.connection() as connection:
        rows = connection.execute("SELECT job_id, run_id FROM jobs").all()
    return KnownJobs(
        frozenset(str(job_id) for job_id, _ in rows), frozenset(str(run_id) for _, run_id in rows if run_id is not None)
    )


def prune_executions(database: Database, *, older_than_s: float, most: int, dry_run: bool = False) -> Pruned:
    """Delete old records of executions, and the oldest beyond a number; those of known jobs stay.

    Parameters
    ----------
    database : Database
    older_than_s : float
        Seconds since the start.
    most : int
        The newest so many are kept, of those that are not too old.
    dry_run : bool
        Change nothing.
    """
    before = _before(database, older_than_s, most)
    with database.connection() as connection:
        ((total, count, oldest_kept),) = connection.execute(_PLAN, before, before).all()
    planned, total = int(str(count or 0)), int(str(total))
    used_bytes = _bytes(database)
    deleted = planned if dry_run else _delete(database, before)
    if deleted and not dry_run and not database.is_postgres:
        _give_pages_back(database)
    return Pruned(
        "executions",
        deleted,
        used_bytes * deleted // total if total else 0,
        total - deleted,
        None if oldest_kept is None else datetime.fromisoformat(str(oldest_kept)),
    )


def _before(database: Database, older_than_s: float, most: int) -> str:
    """Return the start before which executions are pruned, as the table has it."""
    now = datetime.now(UTC)
    too_old = utc_text(now - timedelta(seconds=older_than_s))
    with database.connection() as connection:
        first_kept = connection.execute(_NEWEST, most - 1).one()
    beyond = too_old if first_kept is None else str(first_kept[0])
    return min(max(too_old, beyond), utc_text(now - timedelta(seconds=IN_USE_S)))


def _delete(database: Database, before: str) -> int:
    deleted, rows = 0, _FIRST_BATCH_ROWS
    while True:
        start_s = time.monotonic()
        with database.connection() as connection:
            count = connection.execute(_DELETE, before, rows).count
        took_s = time.monotonic() - start_s
        deleted += count
        if count < rows:
            return deleted
        rows = max(1, min(LARGEST_BATCH_ROWS, 2 * rows, int(rows * BATCH_S / took_s)))
        time.sleep(took_s)


def _bytes(database: Database) -> int:
    """Return the disk that the table takes, with its indexes."""
    if database.is_postgres:
        statement = "SELECT pg_total_relation_size('executions')"
    else:
        statement = """
            SELECT (page_count - freelist_count) * page_size
            FROM pragma_page_count, pragma_freelist_count, pragma_page_size
        """
    with database.connection() as connection:
        ((size,),) = connection.execute(statement).all()
    return int(str(size))


def _give_pages_back(database: Database) -> None:
    """Cut the free pages off an SQLite file, some at a time. A file of an earlier release keeps them, and uses them."""
    while True:
        start_s = time.monotonic()
        with database.transaction() as connection:
            ((mode, free),) = connection.execute(
                "SELECT auto_vacuum, freelist_count FROM pragma_auto_vacuum, pragma_freelist_count"
            ).all()
            pages = min(int(str(free)), _BATCH_PAGES) if mode == _INCREMENTAL else 0
            for _ in range(pages):
                connection.execute("PRAGMA incremental_vacuum(1)")
        if pages == 0:
            break
        time.sleep(time.monotonic() - start_s)
    with database.connection() as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")  # until then the file is as long as it was
