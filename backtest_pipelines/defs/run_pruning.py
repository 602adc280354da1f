"""Which runs are deleted, with their events and outputs: old ones, and the oldest beyond a number.

Kept in any case are runs that have not ended, or only just, those of known jobs, those that hold the latest
materialization of an asset's partition, those that a kept run was tried again from, and those that the API has yet to
put on record.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from backtest_pipelines.defs.report_pruning import prune_reports
from backtest_pipelines.graphql.names import JOB_ID_TAG
from backtest_pipelines.records.cursors import ENDED_RUNS, ENDED_RUNS_OVERLAP_S, Cursors
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.pruning import KnownJobs, known_jobs
from backtest_pipelines.retention.files import delete, oldest
from backtest_pipelines.retention.limits import DAY_S, IN_USE_S, RetentionLimits
from backtest_pipelines.retention.pruned import Pruned
from backtest_pipelines.retention.run_files import RunFiles

PAGE = 500
_UNSUCCESSFUL = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)
_ENDED = (dg.DagsterRunStatus.SUCCESS, *_UNSUCCESSFUL)


@dataclass
class _Plan:
    """Which runs go, and what is known of those that stay.

    Attributes
    ----------
    pruned : list of str
        Ids, the newest first.
    kept : set of str
        Ids.
    oldest_kept : datetime or None
    """

    pruned: list[str] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    oldest_kept: datetime | None = None


def prune_runs(
    instance: dg.DagsterInstance, database: Database, limits: RetentionLimits, *, dry_run: bool = False
) -> list[Pruned]:
    """Delete old runs, the old outputs of those that stay, and old reports; return what was pruned of each.

    Parameters
    ----------
    instance : DagsterInstance
    database : Database
        That of the jobs, and of the API's cursor through the runs.
    limits : RetentionLimits
    dry_run : bool
        Change nothing.
    """
    files = RunFiles(Path(instance.root_directory))
    plan = _plan(instance, limits, known_jobs(database), _read_to_s(database))
    known = plan.kept.union(plan.pruned)
    left_over = files.left_over(known, time.time() - IN_USE_S)
    freed_bytes = sum(file.bytes for run_id in (*plan.pruned, *left_over) for file in files.of(run_id))
    if not dry_run:
        for run_id in plan.pruned:
            start_s = time.monotonic()
            instance.delete_run(run_id)
            files.delete(run_id)
            time.sleep(time.monotonic() - start_s)  # others want the database too
        for run_id in left_over:
            files.delete(run_id)
    runs = Pruned("runs", len(plan.pruned), freed_bytes, len(plan.kept), plan.oldest_kept)
    gone = {*plan.pruned, *left_over}
    return [
        runs,
        _prune_outputs(files, gone, limits.keep_logs_days * DAY_S, dry_run=dry_run),
        prune_reports(instance, limits, dry_run=dry_run),
    ]


def _plan(instance: dg.DagsterInstance, limits: RetentionLimits, jobs: KnownJobs, read_to_s: float) -> _Plan:
    now_s = time.time()
    wanted = _latest_materializations(instance) | jobs.run_ids
    plan = _Plan()
    for number, record in enumerate(_newest_first(instance), 1):
        run = record.dagster_run
        ended_s = record.end_time or record.update_timestamp.timestamp()
        is_within = number <= limits.most_runs and now_s - ended_s <= limits.keep_runs_days * DAY_S
        is_in_use = run.status not in _ENDED or now_s - ended_s <= IN_USE_S
        is_unread = run.status in _UNSUCCESSFUL and record.update_timestamp.timestamp() > read_to_s
        is_wanted = is_unread or run.run_id in wanted or run.tags.get(JOB_ID_TAG) in jobs.job_ids
        if is_within or is_in_use or is_wanted:
            plan.kept.add(run.run_id)
            plan.oldest_kept = record.create_timestamp.astimezone(UTC)
            wanted.update(origin for origin in (run.root_run_id, run.parent_run_id) if origin is not None)
        else:
            plan.pruned.append(run.run_id)
    return plan


def _read_to_s(database: Database) -> float:
    """Return up to which change the API has put runs on record that recorded nothing themselves.

    Where it never looked at them nobody waits for them, and they are pruned as all others.
    """
    cursor = Cursors(database).get(ENDED_RUNS)
    return math.inf if cursor is None else float(cursor) - ENDED_RUNS_OVERLAP_S


def _newest_first(instance: dg.DagsterInstance) -> Iterator[dg.RunRecord]:
    cursor = None
    while True:
        page = instance.get_run_records(limit=PAGE, cursor=cursor)
        yield from page
        if len(page) < PAGE:
            return
        cursor = page[-1].dagster_run.run_id


def _latest_materializations(instance: dg.DagsterInstance) -> set[str]:
    """Return the ids of the runs that hold the latest materialization of each partition of each asset."""
    run_ids = set()
    for asset in instance.get_asset_keys():
        partitions: set[str | None] = set()
        cursor, has_more = None, True
        while has_more:
            page = instance.fetch_materializations(asset, limit=PAGE, cursor=cursor)
            for record in page.records:
                if record.partition_key not in partitions:
                    partitions.add(record.partition_key)
                    run_ids.add(record.run_id)
            cursor, has_more = page.cursor, page.has_more
    return run_ids


def _prune_outputs(files: RunFiles, gone: set[str], older_than_s: float, *, dry_run: bool) -> Pruned:
    """Delete what runs that are kept wrote to their outputs long ago."""
    before_s = time.time() - older_than_s
    outputs = files.outputs_of(run_id for run_id in files.with_outputs() if run_id not in gone)
    old = [folder for folder in outputs if folder.changed_s < before_s]
    kept = [folder for folder in outputs if folder.changed_s >= before_s]
    if not dry_run:
        for folder in old:
            delete(folder.path)
    return Pruned(
        "compute_logs",
        len(old),
        sum(folder.bytes for folder in old),
        len(kept),
        oldest(folder.changed_s for folder in kept),
    )
