"""What Dagster keeps private and the service uses: a change of it must be noticed here, not by a user."""

import inspect
import logging
import signal
import sqlite3
import subprocess
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from threading import Timer
from tomllib import loads
from types import SimpleNamespace

import dagster as dg
import psutil
import pytest
from dagster._core.execution import context_creation_job
from dagster._core.storage import local_compute_log_manager
from dagster._daemon.auto_run_reexecution import auto_run_reexecution
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon

from backtest_pipelines.service import dagster_private as private

PINNED = {
    "dagster": "1.13.27",
    "dagster-webserver": "1.13.27",
    "dagster-celery": "0.29.27",
    "dagster-postgres": "0.29.27",
}
ROOT = Path(__file__).parents[2]


def test_the_versions_are_pinned_and_installed() -> None:
    dependencies = loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for name, pinned in PINNED.items():
        assert f"{name}=={pinned}" in dependencies
        assert version(name) == pinned


def test_execute_run_takes_what_it_is_given() -> None:
    parameters = inspect.signature(private.execute_run).parameters
    assert list(parameters) == ["run_id", "instance", "write_stream_fn", "set_exit_code_on_failure"]


def test_a_launcher_is_asked_what_ours_answers() -> None:
    assert private.RunLauncher.__abstractmethods__ == {"launch_run", "terminate"}
    assert list(inspect.signature(private.RunLauncher.check_run_worker_health).parameters) == ["self", "run"]
    assert private.LaunchRunContext._fields == ("dagster_run", "workspace")
    assert {"status", "msg"} <= set(private.CheckRunHealthResult._fields)


def test_a_coordinator_is_asked_what_ours_answers() -> None:
    assert list(inspect.signature(dg.QueuedRunCoordinator.submit_run).parameters) == ["self", "context"]
    assert list(inspect.signature(dg.QueuedRunCoordinator.cancel_run).parameters) == ["self", "run_id"]


def test_counters_of_limits_take_what_they_are_given() -> None:
    assert list(inspect.signature(private.TagConcurrencyLimitsCounter).parameters) == [
        "tag_concurrency_limits",
        "in_progress_tagged_items",
    ]
    assert {"concurrency_keys", "pool_limits", "slot_count_offset", "pool_granularity"} <= set(
        inspect.signature(private.GlobalOpConcurrencyLimitsCounter).parameters
    )


def test_the_code_of_a_step_is_told_from_other_code() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    try:
        assert not private.in_code_of_a_step()
        with private.capture_interrupts():
            assert not private.in_code_of_a_step()
            with private.raise_interrupts_as(KeyboardInterrupt):
                assert private.in_code_of_a_step()
            assert not private.in_code_of_a_step()
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])


def test_events_are_written_through_the_method_that_is_fenced() -> None:
    parameters = inspect.signature(dg.DagsterInstance.handle_new_event).parameters
    assert list(parameters) == ["self", "event", "batch_metadata"]
    assert "handle_new_event" in inspect.getsource(dg.DagsterInstance.report_dagster_event)


def test_what_a_step_writes_is_captured_without_a_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stock = local_compute_log_manager.mirror_stream_to_file  # type: ignore[attr-defined]
    monkeypatch.setattr(local_compute_log_manager, "mirror_stream_to_file", stock)  # as it is again afterwards
    manager = local_compute_log_manager.LocalComputeLogManager(str(tmp_path))
    this = psutil.Process()
    before = set(this.children())
    with capsys.disabled():
        with manager.capture_logs(["stock"]):
            assert len(set(this.children()) - before) == 4
        private.capture_output_directly()
        with manager.capture_logs(["ours"]):
            assert set(this.children()) == before
            subprocess.run(["echo", "of a child"], check=True)
    assert manager.is_capture_complete(["ours"])
    assert [(tmp_path / name).read_text() for name in ("ours.out", "ours.err")] == ["of a child\n", ""]


def test_the_file_of_a_run_is_as_dagster_makes_it(tmp_path: Path) -> None:
    schemas = []
    for name, quick in (("stock", False), ("quick", True)):
        (tmp_path / name).mkdir()
        with dg.DagsterInstance.local_temp(str(tmp_path / name)) as instance:
            if quick:
                private.quicken_run_files(instance)
            run = instance.create_run_for_job(job_of_nothing)
            instance.report_engine_event("hello", run)
            assert "hello" in [record.message for record in instance.all_logs(run.run_id)]
            (path,) = (tmp_path / name).rglob(f"{run.run_id}.db")
            with closing(sqlite3.connect(path)) as connection:
                tables = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()
                (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
                schemas.append((tables, mode, connection.execute("SELECT * FROM alembic_version").fetchall()))
    assert schemas[0] == schemas[1]


def test_a_file_whose_tables_are_not_whole_is_made_whole(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        private.quicken_run_files(instance)
        run = instance.create_run_for_job(job_of_nothing)
        instance.report_engine_event("hello", run)
        (path,) = tmp_path.rglob(f"{run.run_id}.db")
    other = "5b3cf2e0-0000-4000-8000-000000000000"
    with closing(sqlite3.connect(path.with_name(f"{other}.db"))) as connection:
        connection.execute("CREATE TABLE begun (id INTEGER)")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        private.quicken_run_files(instance)
        run = instance.create_run_for_job(job_of_nothing, run_id=other)
        instance.report_engine_event("hello", run)
        assert "hello" in [record.message for record in instance.all_logs(run.run_id)]


@pytest.fixture
def _the_daemon_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("retry_run", "filter_runs_to_should_retry"):
        monkeypatch.setattr(auto_run_reexecution, name, getattr(auto_run_reexecution, name))


def consume(instance: dg.DagsterInstance) -> None:
    """Let the daemon look at all runs as at those that have just ended."""
    consumed = auto_run_reexecution.consume_new_runs_for_automatic_reexecution(
        SimpleNamespace(instance=instance),  # type: ignore[arg-type]
        instance.get_run_records(),
        logging.getLogger(__name__),
    )
    list(consumed)


@pytest.mark.usefixtures("_the_daemon_as_it_was")
def test_the_daemon_launches_a_retry_again_where_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    launched: list[str] = []

    def launch_at_the_third_time(run: dg.DagsterRun, _context: object) -> None:
        launched.append(run.run_id)
        if len(launched) < 3:
            raise ConnectionError("the code server is away")

    assert list(inspect.signature(auto_run_reexecution.retry_run).parameters) == ["failed_run", "workspace_context"]
    monkeypatch.setattr(private, "_launch_of_retries", lambda: launch_at_the_third_time)
    private.retry_runs_patiently(30)
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(job_of_nothing, tags={"dagster/will_retry": "true"})
        instance.report_run_failed(run)
        consume(instance)
        (record,) = instance.get_run_records()
    assert launched == [run.run_id] * 3
    assert record.dagster_run.tags["dagster/will_retry"] == "true"


@pytest.mark.usefixtures("_the_daemon_as_it_was")
def test_the_daemon_passes_over_no_failure_whose_status_is_not_written_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(inspect.signature(auto_run_reexecution.filter_runs_to_should_retry).parameters) == ["runs", "instance"]
    launched: list[dg.DagsterRun] = []
    monkeypatch.setattr(private, "_launch_of_retries", lambda: lambda run, _context: launched.append(run))
    private.retry_runs_patiently(30)
    retries = {"run_retries": {"enabled": True, "max_retries": 2}}
    with dg.DagsterInstance.local_temp(overrides=retries) as instance:
        failed, done = (instance.create_run_for_job(job_of_nothing) for _ in range(2))
        instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_SUCCESS.value, "job"), done.run_id)
        late = Timer(0.3, instance.report_run_failed, [failed])
        late.start()
        consume(instance)
        late.join()
    # One whose status is another is not tried again from the failed step.
    assert [(run.run_id, run.status) for run in launched] == [(failed.run_id, dg.DagsterRunStatus.FAILURE)]


def test_the_dequeuer_does_not_say_each_second_that_it_may_start_nothing(caplog: pytest.LogCaptureFixture) -> None:
    private.silence_the_dequeuer()
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)
    queued = {"run_coordinator": {"module": "dagster", "class": "QueuedRunCoordinator"}}
    with dg.DagsterInstance.local_temp(overrides=queued) as instance, caplog.at_level(logging.INFO, "dagster.daemon"):
        run = instance.create_run_for_job(job_of_nothing)
        instance.report_dagster_event(
            dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job_of_nothing.name), run_id=run.run_id
        )
        pools = instance.get_concurrency_config().pool_config
        for limit in (0, 1):
            queue = private.RunQueueConfig(limit, tag_concurrency_limits=[])
            config = private.ConcurrencyConfig(pool_config=pools, run_queue_config=queue)
            assert list(daemon._get_runs_to_dequeue(instance, config, fixed_iteration_time=None)) == []
    assert [record.getMessage() for record in caplog.records if "in progress" in record.getMessage()] == [
        "1 runs are currently in progress. Maximum is 1, won't launch more."
    ]


@dg.job
def job_of_nothing() -> None:
    pass


def test_a_run_logs_by_the_logger_that_was_set(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = context_creation_job
    monkeypatch.setattr(module, "default_system_loggers", module.default_system_loggers)  # type: ignore[attr-defined]

    @dg.op
    def speak(context: dg.OpExecutionContext) -> None:
        context.log.warning("a word")

    @dg.job
    def speaking() -> None:
        speak()

    private.log_runs_by(logging.getLogger("runs of the test"))
    assert speaking.execute_in_process().success
    assert any(name == "runs of the test" and "a word" in words for name, _, words in caplog.record_tuples)
