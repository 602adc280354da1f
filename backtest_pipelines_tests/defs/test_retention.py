"""Retention over real stores of Dagster: what goes, what stays, and what is left on the disk."""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.runs.schema import RunsTable

from backtest_pipelines.defs import report_pruning
from backtest_pipelines.defs.retention import RetentionConfig
from backtest_pipelines.defs.run_pruning import prune_runs
from backtest_pipelines.graphql.names import JOB_ID_TAG
from backtest_pipelines.records.cursors import ENDED_RUNS, Cursors
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import Execution, ExecutionRecords
from backtest_pipelines.records.jobs import JobRecords
from backtest_pipelines.retention.limits import DAY_S, DEFAULT, LIMITS, RetentionLimits
from backtest_pipelines_tests.defs.runs import failures_of

STORAGE = {
    "sqlite": "",
    "postgres": "storage:\n  postgres:\n    postgres_url:\n      env: BACKTEST_POSTGRES_URL\n",
}

NO_REPORTS = ("reports", 0, 0)


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["a", "b"]))
def thing(context: dg.AssetExecutionContext) -> None:
    context.log.info("made")
    print("an output")  # noqa: T201 - captured by Dagster


THINGS = dg.Definitions(assets=[thing], jobs=[dg.define_asset_job("things")], executor=dg.in_process_executor)


@dataclass(frozen=True)
class Stores:
    """An instance of Dagster, its home and our database."""

    instance: dg.DagsterInstance
    home: Path
    database: Database

    def add(self, count: int, status: str = "SUCCESS", days: float = 100.0, **more: Any) -> list[str]:
        """Add runs of the same age, each with some events; return their ids."""
        run_ids = []
        for _ in range(count):
            run = dg.DagsterRun("job", str(uuid.uuid4()), status=dg.DagsterRunStatus(status), **more)
            self.instance.add_run(run)
            self.instance.report_engine_event("something", run)
            run_ids.append(run.run_id)
        self.age(run_ids, days)
        return run_ids

    def make(self, partition: str) -> str:
        """Make the asset and return the id of the run."""
        done = THINGS.resolve_job_def("things").execute_in_process(instance=self.instance, partition_key=partition)
        self.age([done.run_id], 100)
        return done.run_id

    def age(self, run_ids: list[str], days: float) -> None:
        then = datetime.now(UTC) - timedelta(days=days)
        values = {"create_timestamp": then, "update_timestamp": then, "end_time": then.timestamp()}
        with self.instance.run_storage.connect() as connection:  # type: ignore[attr-defined]
            connection.execute(RunsTable.update().where(RunsTable.c.run_id.in_(run_ids)).values(**values))
        for run_id in run_ids:
            for path in self.files(run_id):
                os.utime(path, (then.timestamp(),) * 2)

    def run_ids(self) -> set[str]:
        return {record.dagster_run.run_id for record in self.instance.get_run_records()}

    def files(self, run_id: str) -> list[Path]:
        return [path for path in self.home.rglob("*") if run_id in str(path)]

    def prune(self, limits: RetentionLimits = DEFAULT) -> list[tuple[str, int, int]]:
        """Prune, after a dry run that changes nothing and foretells it."""
        before = self.run_ids(), sorted(self.home.rglob("*"))
        planned = prune_runs(self.instance, self.database, limits, dry_run=True)
        assert (self.run_ids(), sorted(self.home.rglob("*"))) == before
        done = prune_runs(self.instance, self.database, limits)
        assert done == planned
        again = prune_runs(self.instance, self.database, limits)
        assert [(kind.count, kind.bytes) for kind in again] == [(0, 0)] * 3
        return [(kind.kind, kind.count, kind.kept) for kind in done]


@pytest.fixture(params=list(STORAGE))
def stores(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    home = tmp_path / "dagster"
    home.mkdir()
    (home / "dagster.yaml").write_text(f"telemetry:\n  enabled: false\n{STORAGE[request.param]}")
    location: Path | str = tmp_path / "executions.sqlite"
    if request.param == "postgres":
        location = str(request.getfixturevalue("postgres_url")).replace("postgresql://", "postgresql+psycopg2://")
        monkeypatch.setenv("BACKTEST_POSTGRES_URL", location)
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    with dg.DagsterInstance.get() as instance, Database(location) as database:
        yield Stores(instance, home, database)


def test_old_runs_go_with_all_that_belongs_to_them_and_the_disk_is_free_again(stores: Stores) -> None:
    old, young = stores.add(60), stores.add(5, days=80)
    size = sum(path.stat().st_size for path in stores.home.rglob("*") if path.is_file())
    assert stores.prune() == [("runs", 60, 5), ("compute_logs", 0, 0), NO_REPORTS]
    assert stores.run_ids() == set(young)
    assert [path for run_id in old for path in stores.files(run_id)] == []
    assert all(stores.instance.all_logs(run_id) for run_id in young)
    after = sum(path.stat().st_size for path in stores.home.rglob("*") if path.is_file())
    is_sqlite = bool(stores.files(young[0]))
    assert (after < size / 3) if is_sqlite else (after == size)


def test_the_oldest_beyond_a_number_go(stores: Stores) -> None:
    runs = stores.add(30, days=2)
    assert stores.prune(replace(DEFAULT, most_runs=12)) == [("runs", 18, 12), ("compute_logs", 0, 0), NO_REPORTS]
    assert stores.run_ids() == set(runs[18:])


def test_what_has_not_ended_or_only_just_is_kept(stores: Stores) -> None:
    under_way = [stores.add(1, status)[0] for status in ("NOT_STARTED", "STARTING", "STARTED", "CANCELING")]
    ended = [stores.add(1, status)[0] for status in ("SUCCESS", "FAILURE", "CANCELED")]
    just_now = stores.add(1, days=0.5 / 24)
    assert stores.prune(RetentionLimits(keep_runs_days=1, most_runs=1))[0] == ("runs", 3, 5)
    assert stores.run_ids() == {*under_way, *just_now}
    assert not stores.run_ids() & {*ended}


def test_the_run_of_each_latest_materialization_is_kept(stores: Stores) -> None:
    first, other, last = (stores.make(partition) for partition in "aba")
    assert stores.prune() == [("runs", 1, 2), ("compute_logs", 2, 0), NO_REPORTS]
    assert stores.run_ids() == {other, last}
    assert stores.files(first) == []
    latest = stores.instance.get_latest_materialization_event(dg.AssetKey("thing"))
    assert latest is not None
    assert latest.run_id == last


def test_the_runs_of_known_jobs_and_their_earlier_attempts_are_kept(stores: Stores) -> None:
    jobs = JobRecords(stores.database)
    job, _ = jobs.add(request_id=None, body_digest="d", variant="v", symbol="NIFTY", request="{}")
    tags = {JOB_ID_TAG: job.job_id}
    (first,) = stores.add(1, "FAILURE", tags=tags)
    (retry,) = stores.add(1, "SUCCESS", tags=tags, root_run_id=first, parent_run_id=first)
    stores.add(1, tags={JOB_ID_TAG: "of a job that is not known any more"})
    assert jobs.attach(job.job_id, first, None)
    assert jobs.attach(job.job_id, retry, first)
    assert stores.prune()[0] == ("runs", 1, 2)
    assert stores.run_ids() == {first, retry}


def test_what_a_kept_run_was_tried_again_from_is_kept(stores: Stores) -> None:
    (root,) = stores.add(1, "FAILURE")
    (parent,) = stores.add(1, "FAILURE", root_run_id=root, parent_run_id=root)
    stores.add(1, "FAILURE")
    (last,) = stores.add(1, days=1, root_run_id=root, parent_run_id=parent)
    assert stores.prune()[0] == ("runs", 1, 3)
    assert stores.run_ids() == {root, parent, last}


def test_runs_that_the_api_has_yet_to_put_on_record_are_kept(stores: Stores) -> None:
    (read,), (unread,) = stores.add(1, "FAILURE", days=200), stores.add(1, "CANCELED", days=100)
    stores.add(2, "SUCCESS", days=100)
    read_to_s = time.time() - 150 * DAY_S
    Cursors(stores.database).put(ENDED_RUNS, repr(read_to_s))
    assert stores.prune()[0] == ("runs", 3, 1)
    assert read not in stores.run_ids()
    assert stores.run_ids() == {unread}
    Cursors(stores.database).put(ENDED_RUNS, repr(time.time()))
    assert stores.prune()[0] == ("runs", 1, 0)


def test_an_api_that_has_seen_no_failure_yet_is_waited_for(stores: Stores) -> None:
    (unread,) = stores.add(1, "FAILURE")
    Cursors(stores.database).put(ENDED_RUNS, "0.0")
    assert stores.prune()[0] == ("runs", 0, 1)
    assert stores.run_ids() == {unread}


def test_what_a_killed_pruning_left_is_deleted_and_nothing_else(stores: Stores) -> None:
    events, outputs = stores.home / "history" / "runs", stores.home / "storage"
    for folder in (events, outputs):
        folder.mkdir(parents=True, exist_ok=True)
    gone, new = str(uuid.uuid4()), str(uuid.uuid4())
    old_s = time.time() - DAY_S
    for name in (f"{gone}.db", f"{new}.db", "notes.db", ".db"):
        (events / name).write_bytes(b"x" * 100)
    (outputs / gone).mkdir()
    (outputs / gone / "a.out").write_bytes(b"x" * 10)
    (outputs / "models").mkdir()
    for path in (events / f"{gone}.db", events / "notes.db", events / ".db", *outputs.rglob("*")):
        os.utime(path, (old_s, old_s))
    runs, *_ = prune_runs(stores.instance, stores.database, DEFAULT)
    assert (runs.count, runs.bytes) == (0, 110)
    assert stores.files(gone) == []
    assert all((events / name).exists() for name in (f"{new}.db", "notes.db", ".db"))
    assert (outputs / "models").exists()


def report(stores: Stores, count: int, days: float) -> None:
    """Put materializations of no run on record, as the API reports them, of one age."""
    storage: Any = stores.instance.event_log_storage
    connects = [storage.index_connection, partial(storage.run_connection, "")]
    then = datetime.now(UTC).replace(tzinfo=None) - timedelta(days=days)
    before = [ids_of_reports(connect) for connect in connects]
    for number in range(count):
        tags = {"dagster/data_version": str(number)}
        stores.instance.report_runless_asset_event(dg.AssetMaterialization("thing", partition="a", tags=tags))
    for connect, known in zip(connects, before, strict=True):
        with connect() as connection:
            new = sa.and_(SqlEventLogStorageTable.c.run_id == "", SqlEventLogStorageTable.c.id.not_in(known))
            connection.execute(sa.update(SqlEventLogStorageTable).where(new).values(timestamp=then))


def ids_of_reports(connect: Callable[[], Any]) -> list[int]:
    with connect() as connection:
        return list(
            connection.execute(
                sa.select(SqlEventLogStorageTable.c.id).where(SqlEventLogStorageTable.c.run_id == "")
            ).scalars()
        )


def test_old_reports_go_but_for_the_latest_of_a_partition(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report_pruning, "BATCH_ROWS", 10)
    report(stores, 25, days=200)
    report(stores, 10, days=2)
    assert stores.prune()[2] == ("reports", 25, 10)
    report(stores, 5, days=1)
    assert stores.prune(replace(DEFAULT, most_runs=3))[2] == ("reports", 12, 3)
    storage: Any = stores.instance.event_log_storage
    for connect in (storage.index_connection, partial(storage.run_connection, "")):
        kept = ids_of_reports(connect)
        assert len(kept) == 3
        with connect() as connection:
            tagged = connection.execute(sa.select(sa.table("asset_event_tags", sa.column("event_id")).c.event_id))
            assert set(tagged.scalars()) <= set(kept)
    latest = stores.instance.get_latest_materialization_event(dg.AssetKey("thing"))
    assert latest is not None
    assert latest.asset_materialization is not None
    assert latest.asset_materialization.tags is not None
    assert latest.asset_materialization.tags["dagster/data_version"] == "4"
    report(stores, 1, days=200)
    assert stores.prune(replace(DEFAULT, most_runs=1))[2] == ("reports", 3, 1)


def test_every_limit_is_a_field_of_the_config() -> None:
    fields = RetentionConfig.model_fields
    assert set(fields) == {*LIMITS, "dry_run"}
    assert all(str(limit.high) in str(fields[name].description) for name, limit in LIMITS.items())


def old_execution(home: Path) -> None:
    with Database(home / "executions.sqlite") as database:
        start = datetime.now(UTC) - timedelta(days=400)
        ExecutionRecords(database).insert(Execution("v", "{}", "NIFTY", "cli", start, 1.0, "completed"))


def prune_job(location: dg.Definitions, instance: dg.DagsterInstance, **config: object) -> dg.ExecuteInProcessResult:
    return location.resolve_job_def("retention_job").execute_in_process(
        instance=instance, run_config={"ops": {"prune": {"config": config}}}, raise_on_error=False
    )


def test_the_job_says_what_it_did(location: dg.Definitions, instance: dg.DagsterInstance, home: Path) -> None:
    old_execution(home)
    found = []
    for dry_run in (True, False, False):
        done = prune_job(location, instance, dry_run=dry_run)
        assert done.success, failures_of(done)
        (output,) = [event for event in done.events_for_node("prune") if event.is_successful_output]
        metadata = output.step_output_data.metadata
        assert metadata["dry_run"].value == dry_run
        rows: Any = metadata["pruned"]
        found.append({row.data["kind"]: (row.data["count"], row.data["kept"]) for row in rows.records})
    assert list(found[0]) == ["runs", "compute_logs", "reports", "executions", "answers", "logs"]
    assert [rows["executions"] for rows in found] == [(1, 0), (1, 0), (0, 0)]


def test_the_environment_sets_the_limits_and_the_config_wins(
    location: dg.Definitions, instance: dg.DagsterInstance, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKTEST_RETENTION", "keep_executions_days=500")
    old_execution(home)
    for config, kept in (({}, 1), ({"keep_executions_days": 300}, 0)):
        assert prune_job(location, instance, **config).success
        with Database(home / "executions.sqlite") as database:
            assert len(ExecutionRecords(database).recent(9)) == kept


@pytest.mark.usefixtures("home")
def test_a_bad_limit_fails_the_job_by_name_value_and_range(
    location: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    done = prune_job(location, instance, most_runs=0)
    (failure,) = failures_of(done)
    assert "most_runs: got 0; allowed: a whole number from 1 to 10000000" in failure.user_failure_data.description


def test_it_runs_each_night(location: dg.Definitions) -> None:
    schedule = location.get_repository_def().get_schedule_def("retention_schedule")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 3 * * *", "Asia/Kolkata")
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert schedule.job_name == "retention_job"
