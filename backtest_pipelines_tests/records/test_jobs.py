from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backtest_pipelines.errors import BadRequestError, BugError
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import Execution, ExecutionRecords
from backtest_pipelines.records.jobs import Job, JobRecords, RequestConflictError
from backtest_pipelines_tests.records.racing import race

ROUNDS = 50


@pytest.fixture
def jobs(database: Database) -> JobRecords:
    return JobRecords(database)


def added(jobs: JobRecords, request_id: str | None = None, variant: str = "covered_call") -> Job:
    job, _ = jobs.add(request_id=request_id, body_digest="d", variant=variant, symbol="NIFTY", request="{}")
    return job


def found(jobs: JobRecords, job: Job) -> Job:
    kept = jobs.get(job.job_id)
    assert kept is not None
    return kept


def attach_in_a_race(database: Database, number: int, racer: int) -> bool:
    jobs = JobRecords(database)
    return jobs.attach(added(jobs, f"request {number}").job_id, f"run {number} of {racer}", None)


def test_a_job_comes_back_as_it_was_submitted(jobs: JobRecords) -> None:
    job, is_new = jobs.add(
        request_id="q", body_digest="d", variant="covered_call", symbol="NIFTY", request='{"symbol":"NIFTY"}'
    )
    assert is_new
    assert abs(job.submitted_at - datetime.now(UTC)) < timedelta(seconds=30)
    assert (job.request_id, job.body_digest, job.variant, job.symbol) == ("q", "d", "covered_call", "NIFTY")
    assert (job.request, job.run_id, job.ended_state, job.ended_at) == ('{"symbol":"NIFTY"}', None, None, None)
    assert (job.cancel_requested, job.launched) == (False, False)
    assert found(jobs, job) == job
    assert jobs.get("unknown") is None


def test_a_request_id_makes_one_job_and_without_one_each_call_does(jobs: JobRecords) -> None:
    first = added(jobs, "q")
    again, is_new = jobs.add(request_id="q", body_digest="d", variant="covered_call", symbol="NIFTY", request="{}")
    assert (again, is_new) == (first, False)
    assert added(jobs).job_id != added(jobs).job_id
    assert len(jobs.recent(9)) == 3


def test_a_request_id_used_for_another_request_is_refused(jobs: JobRecords) -> None:
    first = added(jobs, "q")
    with pytest.raises(RequestConflictError, match=f"request_id: got 'q'.*{first.job_id}"):
        jobs.add(request_id="q", body_digest="other", variant="covered_call", symbol="NIFTY", request="{ }")
    assert jobs.recent(9) == [first]


def test_a_value_that_no_database_holds_is_a_bug(jobs: JobRecords) -> None:
    with pytest.raises(BugError, match="cannot hold"):
        added(jobs, "\ud800")


def test_eight_threads_that_add_the_same_requests_make_one_job_for_each(jobs: JobRecords) -> None:
    barrier = threading.Barrier(8)
    made: list[tuple[str | None, str, bool]] = []

    def add(thread: int) -> None:
        barrier.wait(30)
        for number in range(25):
            name = f"request {(number + 7 * thread) % 20}"
            job, is_new = jobs.add(request_id=name, body_digest="d", variant="v", symbol="NIFTY", request="{}")
            made.append((job.request_id, job.job_id, is_new))

    threads = [threading.Thread(target=add, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 200
    assert sum(is_new for _, _, is_new in made) == 20
    assert len({(request_id, job_id) for request_id, job_id, _ in made}) == 20
    assert len(jobs.recent(1000)) == 20


def test_of_several_runs_for_a_job_one_is_attached(jobs: JobRecords, location: Path | str) -> None:
    for number, won in enumerate(race([location] * ROUNDS, attach_in_a_race)):
        assert won.count(True) == 1
        assert added(jobs, f"request {number}").run_id == f"run {number} of {won.index(True)}"
    assert len(jobs.recent(1000)) == ROUNDS


def test_a_retry_takes_the_place_of_its_parent_and_nothing_else_does(jobs: JobRecords) -> None:
    job = added(jobs)
    assert not jobs.attach(job.job_id, "b", "a")
    assert jobs.attach(job.job_id, "a", None)
    assert jobs.attach(job.job_id, "a", None)
    assert not jobs.attach(job.job_id, "b", None)
    assert not jobs.attach(job.job_id, "b", "z")
    assert jobs.attach(job.job_id, "b", "a")
    assert jobs.attach(job.job_id, "b", "a")
    assert not jobs.attach(job.job_id, "c", "a")
    assert found(jobs, job).run_id == "b"
    assert not jobs.attach("unknown", "a", None)


def test_no_further_run_is_attached_after_a_cancel(jobs: JobRecords) -> None:
    waiting, running = added(jobs), added(jobs)
    assert jobs.attach(running.job_id, "a", None)
    for job in (waiting, running):
        jobs.request_cancel(job.job_id)
    assert not jobs.attach(waiting.job_id, "b", None)
    assert not jobs.attach(running.job_id, "b", "a")
    assert jobs.attach(running.job_id, "a", None)
    assert found(jobs, waiting).cancel_requested


def test_a_detached_job_is_launched_again(jobs: JobRecords) -> None:
    job = added(jobs)
    jobs.attach(job.job_id, "a", None)
    jobs.mark_launched(job.job_id)
    assert jobs.unlaunched(0) == []
    assert not jobs.detach(job.job_id, "b")
    assert jobs.detach(job.job_id, "a")
    assert jobs.unlaunched(0) == [job]
    assert jobs.attach(job.job_id, "b", None)


def test_jobs_not_launched_are_found_after_a_while_and_open_ones_until_they_end(jobs: JobRecords) -> None:
    first, second, third = added(jobs), added(jobs), added(jobs)
    assert jobs.unlaunched(60) == []
    jobs.mark_launched(second.job_id)
    jobs.end(third.job_id, "failed")
    assert jobs.unlaunched(0) == [first]
    assert [job.job_id for job in jobs.open()] == [first.job_id, second.job_id]


def test_the_first_end_of_a_job_stays(jobs: JobRecords) -> None:
    job = added(jobs)
    jobs.end(job.job_id, "cancelled")
    jobs.end(job.job_id, "completed")
    ended = found(jobs, job)
    assert ended.ended_state == "cancelled"
    assert ended.ended_at is not None
    assert ended.ended_at >= ended.submitted_at


def test_recent_gives_the_newest_first_filtered_and_limited(jobs: JobRecords) -> None:
    names = [added(jobs, variant=variant).job_id for variant in ("a", "b", "a")]
    assert [job.job_id for job in jobs.recent(9)] == names[::-1]
    assert [job.job_id for job in jobs.recent(1)] == [names[2]]
    assert [job.job_id for job in jobs.recent(9, "a")] == [names[2], names[0]]
    with pytest.raises(BadRequestError, match="limit: got 0"):
        jobs.recent(0)


def test_the_last_of_the_jobs_without_an_end_and_an_execution_are_found(jobs: JobRecords, database: Database) -> None:
    ended, recorded, first, second = (added(jobs, variant=variant) for variant in ("a", "a", "b", "a"))
    jobs.end(ended.job_id, "cancelled")
    started_at = datetime(2024, 1, 4, 9, 15, tzinfo=UTC)
    execution = Execution("a", "{}", "NIFTY", "rest", started_at, 1, "completed", row_count=3, fingerprint="0" * 64)
    ExecutionRecords(database).insert(replace(execution, id=recorded.execution_id, job_id=recorded.job_id))
    assert [job.job_id for job in jobs.open_last(9)] == [second.job_id, first.job_id]
    assert [job.job_id for job in jobs.open_last(1)] == [second.job_id]
    assert [job.job_id for job in jobs.open_last(9, "b")] == [first.job_id]


def test_jobs_that_ended_long_ago_are_deleted(jobs: JobRecords, database: Database) -> None:
    old, young, still_open = added(jobs, "old"), added(jobs, "young"), added(jobs, "open")
    jobs.end(old.job_id, "completed")
    with database.connection() as connection:
        connection.execute("UPDATE jobs SET submitted_s = submitted_s - 99, ended_s = ended_s - 61")
    jobs.end(young.job_id, "failed")
    assert jobs.prune(60) == 1
    assert {job.job_id for job in jobs.recent(9)} == {young.job_id, still_open.job_id}
    assert added(jobs, "old").job_id != old.job_id
