"""The sensor on a real folder and instance, and the runs that it asks for."""

import os
import shutil
import time
from pathlib import Path

import dagster as dg
import pytest

from backtest_pipelines.defs.workspace import WorkspaceResource
from backtest_pipelines.panel.store import PanelStore

DAY_BEFORE = time.time() - 86_400


@pytest.fixture
def inbox(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = home / "inbox"
    folder.mkdir(parents=True)
    # Files of a test are young; the sensor is told that it is later.
    later = time.time() + 3600
    monkeypatch.setattr("backtest_pipelines.defs.sensors.time", lambda: later)
    return folder


def deliver(sample_inbox: Path, inbox: Path, *days: str) -> None:
    for day in days:
        for path in sample_inbox.glob(f"*{day}*"):
            shutil.copy(path, inbox)


def look(location: dg.Definitions, instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    """Evaluate the sensor as the daemon does, adding the partitions that it asks for."""
    sensor = location.get_repository_def().get_sensor_def("inbox_sensor")
    resources = {"workspace": WorkspaceResource()}
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    for request in result.dynamic_partitions_requests or []:
        instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
    return result


def launch(location: dg.Definitions, instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
    job = location.resolve_job_def("daily_files_job")
    return job.execute_in_process(
        instance=instance, partition_key=request.partition_key, tags=request.tags, raise_on_error=False
    )


def materialized(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, object]]:
    return {
        str(event.partition): {name: value.value for name, value in event.metadata.items()}
        for event in result.asset_materializations_for_node("daily_files")
    }


def test_a_folder_of_files_becomes_panels_in_one_run(
    location: dg.Definitions, instance: dg.DagsterInstance, home: Path, inbox: Path, sample_inbox: Path
) -> None:
    deliver(sample_inbox, inbox, "02MAY2024", "02052024", "03MAY2024", "03052024", "06MAY2024", "06052024")
    result = look(location, instance)
    (request,) = result.run_requests or []
    run = launch(location, instance, request)
    assert run.success
    found = materialized(run)
    assert sorted(found) == ["2024-05-02", "2024-05-03", "2024-05-06"]
    assert found["2024-05-03"]["fo03MAY2024bhav.csv.zip"] == "bhavcopy: added"
    assert found["2024-05-03"]["ind_close_all_03052024.csv"] == "index_closes: added"
    assert "fo02MAY2024bhav.csv.zip" not in found["2024-05-03"]
    assert PanelStore(home / "panel").symbol("NIFTY").session_count == 3
    panel = location.resolve_job_def("panels_job").execute_in_process(instance=instance, partition_key="NIFTY")
    (shown,) = panel.asset_materializations_for_node("panels")
    assert shown.metadata["sessions"].value == 3
    assert shown.metadata["last_session"].value == "2024-05-06"
    assert shown.tags == {
        **(shown.tags or {}),
        "dagster/data_version": PanelStore(home / "panel").symbol("NIFTY").digest,
    }


def test_a_late_session_and_a_corrected_one_are_ingested_by_the_next_looks(
    location: dg.Definitions, instance: dg.DagsterInstance, inbox: Path, sample_inbox: Path
) -> None:
    deliver(sample_inbox, inbox, "02MAY2024", "02052024")
    first = look(location, instance)
    launch(location, instance, (first.run_requests or [])[0])
    deliver(sample_inbox, inbox, "03MAY2024", "03052024")
    second = look(location, instance, first.cursor)
    (request,) = second.run_requests or []
    assert request.partition_key == "2024-05-03"
    assert launch(location, instance, request).success
    corrected = inbox / "ind_close_all_02052024.csv"
    corrected.write_text(corrected.read_text().replace(",22373.8,", ",22373.85,"))
    third = look(location, instance, second.cursor)
    (request,) = third.run_requests or []
    assert request.partition_key == "2024-05-02"
    assert materialized(launch(location, instance, request))["2024-05-02"] == {
        "fo02MAY2024bhav.csv.zip": "bhavcopy: unchanged",
        "ind_close_all_02052024.csv": "index_closes: replaced",
        "run_files": 2,
        "run_duration_s": pytest.approx(0, abs=60),
    }
    fourth = look(location, instance, third.cursor)
    assert not fourth.run_requests
    assert fourth.skip_reason is not None
    assert "nothing new among 4 files" in str(fourth.skip_reason.skip_message)


def test_a_file_that_is_still_being_written_waits(
    location: dg.Definitions,
    instance: dg.DagsterInstance,
    inbox: Path,
    sample_inbox: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliver(sample_inbox, inbox, "02MAY2024")
    (path,) = inbox.iterdir()
    os.utime(path, (DAY_BEFORE, DAY_BEFORE))  # a copy that keeps the old time is no less young
    monkeypatch.setattr("backtest_pipelines.defs.sensors.time", lambda: path.stat().st_ctime + 1.9)
    result = look(location, instance)
    assert not result.run_requests
    assert result.skip_reason is not None
    assert "1 still being written" in str(result.skip_reason.skip_message)
    monkeypatch.setattr("backtest_pipelines.defs.sensors.time", lambda: path.stat().st_ctime + 2.1)
    assert look(location, instance, result.cursor).run_requests


def test_a_file_that_cannot_be_recognised_is_left_alone(
    location: dg.Definitions, instance: dg.DagsterInstance, inbox: Path, sample_inbox: Path
) -> None:
    deliver(sample_inbox, inbox, "02MAY2024")
    (inbox / "fo03MAY2024bhav.csv.zip").write_bytes(b"no zip")
    result = look(location, instance)
    assert [request.partition_key for request in result.run_requests or []] == ["2024-05-02"]
    assert not look(location, instance, result.cursor).run_requests


def test_a_file_that_is_bad_further_down_fails_the_run_once_and_the_others_are_kept(
    location: dg.Definitions, instance: dg.DagsterInstance, home: Path, inbox: Path, sample_inbox: Path
) -> None:
    deliver(sample_inbox, inbox, "02MAY2024", "02052024", "03MAY2024")
    text = (sample_inbox / "ind_close_all_03052024.csv").read_text().splitlines(keepends=True)
    (inbox / "ind_close_all_03052024.csv").write_text("".join(text[:-1]) + "Nifty")
    (request,) = look(location, instance).run_requests or []
    run = launch(location, instance, request)
    assert not run.success
    (failure,) = [event for event in run.all_events if event.is_step_failure]
    assert not [event for event in run.all_events if event.is_step_up_for_retry]
    description = str(failure.step_failure_data.user_failure_data.description)  # type: ignore[union-attr]
    assert "1 of 4 files" in description
    assert "ind_close_all_03052024.csv: line" in description
    records = instance.fetch_materializations(dg.AssetKey("daily_files"), limit=10).records
    assert [record.partition_key for record in records] == ["2024-05-02"]
    assert PanelStore(home / "panel").symbol("NIFTY").session_count == 2


def test_a_session_without_a_file_fails_once_and_is_named(
    location: dg.Definitions, instance: dg.DagsterInstance, inbox: Path, sample_inbox: Path
) -> None:
    deliver(sample_inbox, inbox, "02MAY2024")
    instance.add_dynamic_partitions("sessions", ["2024-05-03"])
    run = launch(location, instance, dg.RunRequest(partition_key="2024-05-03"))
    (failure,) = [event for event in run.all_events if event.is_step_failure or event.is_step_up_for_retry]
    description = str(failure.step_failure_data.user_failure_data.description)  # type: ignore[union-attr]
    assert "2024-05-03" in description
    assert "inbox" in description


def test_no_inbox_is_nothing_to_do(location: dg.Definitions, instance: dg.DagsterInstance, home: Path) -> None:
    sensor = location.get_repository_def().get_sensor_def("inbox_sensor")
    with dg.build_sensor_context(instance=instance, resources={"workspace": WorkspaceResource()}) as context:
        result = sensor(context)
    assert isinstance(result, dg.SkipReason)
    assert str(home / "inbox") in str(result.skip_message)
