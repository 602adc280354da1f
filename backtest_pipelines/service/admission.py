"""Which waiting run may start next: Dagster's limits, priorities and pools, decided by one worker at a time.

A run counts as in progress once it is claimed. Dagster's own dequeuer may have moved a run to STARTING that nobody
has claimed: it waits like those in the queue.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import dagster as dg

from backtest_pipelines.graphql.names import RETRY_NUMBER_TAG
from backtest_pipelines.records.claims import LEASE_S, Admission, Claim, Claims
from backtest_pipelines.service.dagster_private import (
    PRIORITY_TAG,
    ConcurrencyConfig,
    GlobalOpConcurrencyLimitsCounter,
    TagConcurrencyLimitsCounter,
)
from backtest_pipelines.service.ended_runs import settle

PAGE_RUNS = 200
ENTER_S = 2.0
RETRY_PAUSE_S = 1.0
"""Before the first retry of a run; the second waits twice as long, each 0.5 to 1.5 times by chance."""

_IN_PROGRESS = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A run that is the owner's now.

    Attributes
    ----------
    run : DagsterRun
    others_wait : bool
        Whether more runs waited, which may start now or when this one has ended.
    """

    run: dg.DagsterRun
    others_wait: bool


def claim_next(instance: dg.DagsterInstance, claims: Claims, admission: Admission, owner: str) -> Claimed | None:
    """Claim the run that is to start next, or return None where none may.

    Parameters
    ----------
    instance : DagsterInstance
    claims : Claims
    admission : Admission
        Held while this decides, so that two workers cannot pass a limit together.
    owner : str
        Who claims.
    """
    if not _enter(admission, owner):
        return None
    try:
        active, waiting = _sorted_out(instance, held := claims.held())
        for record in active:
            if record.dagster_run.run_id not in held:
                settle(instance, claims, record.dagster_run.run_id)
        for run in _within_limits(instance, active, [record for record in waiting if _pause_is_over(record)]):
            if claims.take(run.run_id, owner):
                return Claimed(run, others_wait=len(waiting) > 1)
            settle(instance, claims, run.run_id)
        return None
    finally:
        admission.leave(owner)


def _enter(admission: Admission, owner: str) -> bool:
    deadline = time.monotonic() + ENTER_S
    while not admission.enter(owner):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _within_limits(
    instance: dg.DagsterInstance, active: Sequence[dg.RunRecord], waiting: list[dg.RunRecord]
) -> list[dg.DagsterRun]:
    """Return the waiting runs that may start now, the first one first."""
    if not waiting:
        return []
    config = instance.get_concurrency_config()
    queue = config.run_queue_config
    if queue is None:
        return [record.dagster_run for record in waiting]
    free = queue.max_concurrent_runs - len(active) if queue.max_concurrent_runs != -1 else len(waiting)
    if free <= 0:
        return []
    waiting.sort(key=lambda record: -_whole_tag(record.dagster_run, PRIORITY_TAG))
    tags = TagConcurrencyLimitsCounter(queue.tag_concurrency_limits, [record.dagster_run for record in active])
    pools = _pools(instance, config, [record.dagster_run for record in waiting], active)
    admissible = []
    for record in waiting:
        run = record.dagster_run
        if tags.is_blocked(run) or (pools and pools.is_blocked(run)):
            continue
        tags.update_counters_with_launched_item(run)
        if pools:
            pools.update_counters_with_launched_item(run)
        admissible.append(run)
        if len(admissible) == free:
            break
    return admissible


def _sorted_out(
    instance: dg.DagsterInstance, held: Mapping[str, Claim]
) -> tuple[list[dg.RunRecord], list[dg.RunRecord]]:
    """Return the records of runs in progress, and of those that wait, the oldest first."""
    in_progress = instance.get_run_records(dg.RunsFilter(statuses=_IN_PROGRESS), ascending=True)
    queued: list[dg.RunRecord] = []
    while True:
        page = instance.get_run_records(
            dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]),
            limit=PAGE_RUNS,
            cursor=queued[-1].dagster_run.run_id if queued else None,
            ascending=True,
        )
        queued.extend(page)
        if len(page) < PAGE_RUNS:
            break
    active: list[dg.RunRecord] = []
    waiting: list[dg.RunRecord] = []
    for record in (*in_progress, *queued):
        claim = held.get(record.dagster_run.run_id)
        begun = record.dagster_run.status in _IN_PROGRESS[1:]
        is_waiting = not begun and (claim is None or claim.beat_age_s > LEASE_S)
        (waiting if is_waiting else active).append(record)
    return active, waiting


def _pause_is_over(record: dg.RunRecord) -> bool:
    """Say whether a retry has waited: longer each time, and by chance, so that many do not come back together."""
    run = record.dagster_run
    number = _whole_tag(run, RETRY_NUMBER_TAG)
    if number < 1:
        return True
    chance = sha256(run.run_id.encode()).digest()[0] / 255
    pause_s = RETRY_PAUSE_S * 2 ** (number - 1) * (0.5 + chance)
    return bool(time.time() - record.create_timestamp.timestamp() >= pause_s)


def _pools(
    instance: dg.DagsterInstance,
    config: ConcurrencyConfig,
    waiting: Sequence[dg.DagsterRun],
    active: Sequence[dg.RunRecord],
) -> GlobalOpConcurrencyLimitsCounter | None:
    queue = config.run_queue_config
    if queue is None or not queue.should_block_op_concurrency_limited_runs:
        return None
    if not any(run.run_op_concurrency for run in waiting):
        return None
    storage = instance.event_log_storage
    return GlobalOpConcurrencyLimitsCounter(
        instance,
        waiting,
        active,
        concurrency_keys=storage.get_concurrency_keys(),
        pool_limits=storage.get_pool_limits(),
        slot_count_offset=queue.op_concurrency_slot_buffer,
        pool_granularity=config.pool_config.pool_granularity,
    )


def _whole_tag(run: dg.DagsterRun, name: str) -> int:
    try:
        return int(run.tags.get(name, "0"))
    except ValueError:
        return 0
