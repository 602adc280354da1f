"""Which materializations of no run are deleted: old ones, and the oldest beyond a number.

Dagster deletes events with their run, and these, which the API reported, have none. It has no function for this, so its
tables are asked by their names, which are the same in SQLite and in Postgres. In SQLite each event is in two files.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, TypeAlias

import dagster as dg
import sqlalchemy as sa

from backtest_pipelines.retention.limits import RetentionLimits
from backtest_pipelines.retention.pruned import Pruned

BATCH_ROWS: Final = 200
_NO_RUN: Final = ""
_TABLE: Final = sa.table(
    "event_logs",
    *(sa.column(name) for name in ("id", "run_id", "event", "dagster_event_type", "asset_key", "partition")),
    sa.column("timestamp", sa.DateTime),
)
_EVENTS: Final = _TABLE.c
_TAGS: Final = sa.table("asset_event_tags", sa.column("event_id"))
_IS_MATERIALIZATION: Final = _EVENTS.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value
_IS_OF_NO_RUN: Final = sa.and_(_IS_MATERIALIZATION, _EVENTS.run_id == _NO_RUN)

Connect: TypeAlias = Callable[[], AbstractContextManager[sa.Connection]]


def prune_reports(instance: dg.DagsterInstance, limits: RetentionLimits, *, dry_run: bool = False) -> Pruned:
    """Delete old materializations of no run; those that are the latest of an asset's partition stay.

    Parameters
    ----------
    instance : DagsterInstance
    limits : RetentionLimits
        Those of runs.
    dry_run : bool
        Change nothing.
    """
    storage: Any = instance.event_log_storage
    index = _Events(storage.index_connection, limits)
    count, size_bytes, kept, oldest_kept = index.look()
    stores = [index]
    if count and hasattr(storage, "path_for_shard"):  # SQLite, with a file for each run, and one for those of no run
        own = _Events(partial(storage.run_connection, _NO_RUN), limits)
        size_bytes += own.look()[1]
        stores.append(own)
    if count and not dry_run:
        for events in stores:
            events.delete()
    return Pruned("reports", count, size_bytes, kept, oldest_kept)


class _Events:
    """The materializations of no run in one store, and which of them go."""

    def __init__(self, connect: Connect, limits: RetentionLimits) -> None:
        self._connect = connect
        before = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=limits.keep_runs_days)
        newest_first = sa.select(_EVENTS.id).where(_IS_OF_NO_RUN).order_by(_EVENTS.id.desc())
        beyond = sa.func.coalesce(newest_first.offset(limits.most_runs).limit(1).scalar_subquery(), 0)
        latest = sa.select(sa.func.max(_EVENTS.id)).where(_IS_MATERIALIZATION)
        self._go = sa.and_(
            sa.or_(_EVENTS.timestamp < before, _EVENTS.id <= beyond),
            _EVENTS.id.not_in(latest.group_by(_EVENTS.asset_key, _EVENTS.partition)),
        )

    def look(self) -> tuple[int, int, int, datetime | None]:
        """Return how many go, their bytes, how many stay, and since when the oldest of those is there."""
        going = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(sa.func.length(_EVENTS.event)), 0))
        staying = sa.select(sa.func.count(), sa.func.min(_EVENTS.timestamp))
        with self._connect() as connection:
            count, size_bytes = connection.execute(going.where(_IS_OF_NO_RUN, self._go)).one()
            kept, oldest = connection.execute(staying.where(_IS_OF_NO_RUN, sa.not_(self._go))).one()
        return count, size_bytes, kept, None if oldest is None else oldest.replace(tzinfo=UTC)

    def delete(self) -> None:
        """Delete those that go, some at a time: others want the database too."""
        ids = sa.select(_EVENTS.id).where(_IS_OF_NO_RUN, self._go).limit(BATCH_ROWS)
        while True:
            start_s = time.monotonic()
            with self._connect() as connection:
                batch = connection.execute(ids).scalars().all()
                connection.execute(sa.delete(_TAGS).where(_TAGS.c.event_id.in_(batch)))
                connection.execute(sa.delete(_TABLE).where(_EVENTS.id.in_(batch)))
            if len(batch) < BATCH_ROWS:
                return
            time.sleep(time.monotonic() - start_s)
