"""Runs through the real web server, queue, daemon and code server."""

import json
import sqlite3

from backtest_pipelines_tests.integration.dagster_servers import RUN_S, WEEKLY, Installation, installation

__all__ = ["installation"]


def launch(installation: Installation, **config: object) -> str:
    run_config = {"ops": {WEEKLY: {"config": config}}}
    return installation.dagster.launch(f"{WEEKLY}_job", "NIFTY", run_config)


def test_the_sensor_ingested_the_inbox_in_one_run(installation: Installation) -> None:
    (run,) = installation.first_runs
    assert run.status == "SUCCESS"
    panel = installation.dagster.wait(installation.dagster.launch("panels_job", "NIFTY", {}), RUN_S)
    assert (panel.metadata["first_session"], panel.metadata["last_session"]) == ("2024-05-02", "2024-06-14")


def test_a_question_is_computed_then_found_in_redis(installation: Installation) -> None:
    config = {"spot_adjustment_type": 3, "spot_adjustment": 0.5}
    first = installation.dagster.wait(launch(installation, **config), RUN_S)
    second = installation.dagster.wait(launch(installation, **config), RUN_S)
    assert (first.status, first.metadata["tier"]) == ("SUCCESS", "computed")
    assert (second.status, second.metadata["tier"]) == ("SUCCESS", "redis")
    assert first.metadata["fingerprint"] == second.metadata["fingerprint"]
    assert first.metadata["net_pnl_points"] == second.metadata["net_pnl_points"]


def test_two_parameter_sets_at_the_same_time_keep_both_answers(installation: Installation) -> None:
    positions = (0.25, 2.25)
    runs = [launch(installation, call_sell_position=position) for position in positions]
    first = [installation.dagster.wait(run, RUN_S) for run in runs]
    assert [run.status for run in first] == ["SUCCESS", "SUCCESS"]
    assert first[0].metadata["fingerprint"] != first[1].metadata["fingerprint"]
    again = [launch(installation, call_sell_position=position) for position in positions]
    for before, run in zip(first, again, strict=True):
        after = installation.dagster.wait(run, RUN_S)
        assert after.metadata["cached"] is True
        for name in ("fingerprint", "trades", "net_pnl_points"):
            assert after.metadata[name] == before.metadata[name]


def test_a_bad_config_ends_the_run_at_once_and_is_not_tried_again(installation: Installation) -> None:
    run_id = launch(installation, spot_adjustment=101)
    run = installation.dagster.wait(run_id, RUN_S)
    assert run.status == "FAILURE"
    assert run.failure is not None
    assert run.failure.type == "BadRequestError"
    assert "spot_adjustment: got 101.0; allowed: 0 to 100 percent" in run.failure.message
    with sqlite3.connect(installation.home / "executions.sqlite") as connection:
        rows = connection.execute("SELECT outcome, error_type, parameters FROM executions WHERE run_id = ?", [run_id])
        ((outcome, error_type, parameters),) = rows.fetchall()
    connection.close()
    assert (outcome, error_type) == ("failed", "BadRequestError")
    assert float(json.loads(parameters)["parameters"]["spot_adjustment"]) == 101
