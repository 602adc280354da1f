from __future__ import annotations

from datetime import UTC, datetime, timedelta

from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Workers


def grow_old(database: Database, age_s: float) -> None:
    with database.connection() as connection:
        connection.execute("UPDATE workers SET beat_s = beat_s - ?", age_s)


def test_a_worker_shows_itself_and_what_it_executes(database: Database) -> None:
    workers = Workers(database)
    workers.show("a", "host", 7, None)
    (idle,) = workers.alive()
    workers.show("a", "host", 7, "r")
    (busy,) = workers.alive()
    assert (idle.owner, idle.host, idle.pid, idle.run_id) == ("a", "host", 7, None)
    assert busy.run_id == "r"
    assert busy.started_at == idle.started_at
    assert abs(busy.started_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert 0 <= busy.beat_age_s < 10


def test_workers_come_oldest_first_without_those_that_left_or_are_silent(database: Database) -> None:
    workers = Workers(database)
    workers.show("silent", "host", 1, None)
    grow_old(database, 11)
    for owner in ("z", "a", "m"):
        workers.show(owner, "host", 2, None)
    workers.leave("a")
    assert [worker.owner for worker in workers.alive()] == ["z", "m"]
    assert [worker.owner for worker in workers.alive(within_s=60)] == ["silent", "z", "m"]


def test_workers_that_ended_without_a_word_are_deleted_in_the_end(database: Database) -> None:
    workers = Workers(database)
    workers.show("dead", "host", 1, None)
    grow_old(database, 61)
    workers.show("living", "host", 2, None)
    assert workers.prune(60) == 1
    assert [worker.owner for worker in workers.alive(within_s=1000)] == ["living"]
