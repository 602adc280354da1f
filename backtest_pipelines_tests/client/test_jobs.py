"""What the client makes of the service's answers."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from backtest_pipelines.client import (
    Client,
    JobCancelledError,
    JobFailedError,
    JobFinishedError,
    JobNotFinishedError,
    JobStatus,
    SubmissionConflictError,
    UnknownJobError,
    WaitTimeoutError,
)
from backtest_pipelines.errors import BadRequestError, MissingDataError
from backtest_pipelines.results.codec import CorruptAnswerError
from backtest_pipelines_tests.client.stand_in import CANCELLED, FAILED, RUNNING, WAITING, Service, completed, seconds
from backtest_pipelines_tests.results.samples import answer, fingerprint, value

WEEKLY = "call_sell_future_buy_weekly"


def test_every_part_of_the_question_is_sent_as_json_can_hold_it(service: Service, client: Client) -> None:
    job = client.submit(
        WEEKLY,
        "BANKNIFTY",
        {
            "call_sell_position": Decimal("1.50"),
            "spot_adjustment_type": np.int64(3),
            "spot_adjustment": np.float32(0.5),
        },
        from_date=date(2024, 6, 3),
        to_date="2024-08-30",
        phases=[(date(2024, 6, 3), "2024-06-28")],
        exit_at_expiry="intrinsic",
        costs=True,
        brokerage_inr_per_order=15,
        use_cache=False,
        request_id="mine",
    )
    assert service.bodies == [
        {
            "variant": WEEKLY,
            "symbol": "BANKNIFTY",
            "parameters": {"call_sell_position": "1.50", "spot_adjustment_type": 3, "spot_adjustment": 0.5},
            "from_date": "2024-06-03",
            "to_date": "2024-08-30",
            "phases": [["2024-06-03", "2024-06-28"]],
            "exit_at_expiry": "intrinsic",
            "costs": True,
            "brokerage_inr_per_order": 15,
            "use_cache": False,
            "request_id": "mine",
        }
    ]
    assert (job.job_id, job.request_id, job.variant, job.symbol) == ("job-1", "mine", WEEKLY, "BANKNIFTY")
    assert job.submitted_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert job.request == service.bodies[0]


@pytest.mark.parametrize(("field", "value"), [("from_date", 3.5 + 1j), ("brokerage_inr_per_order", float("nan"))])
def test_what_json_cannot_hold_is_refused_by_its_name_and_nothing_is_sent(
    service: Service, client: Client, field: str, value: object
) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.submit(WEEKLY, **{field: value})  # type: ignore[arg-type]
    assert refused.value.field == field
    assert service.asked == {}


def test_a_refusal_names_field_value_and_limit(client: Client) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.submit("unknown")
    error = refused.value
    assert (error.field, error.value, error.limit) == (
        "variant",
        "unknown",
        "allowed: call_sell_future_buy_weekly",
    )


def test_submissions_without_a_request_id_are_different_jobs(client: Client) -> None:
    assert client.submit(WEEKLY).job_id != client.submit(WEEKLY).job_id


def test_a_request_id_names_one_job_and_one_question(client: Client) -> None:
    first = client.submit(WEEKLY, request_id="mine")
    assert client.submit(WEEKLY, request_id="mine") == first
    with pytest.raises(SubmissionConflictError, match="request_id: got 'mine'; allowed: another id"):
        client.submit(WEEKLY, "BANKNIFTY", request_id="mine")


def test_wait_tells_each_change_and_returns_the_last_status(service: Service, client: Client) -> None:
    service.course = [WAITING, WAITING, RUNNING, RUNNING, completed(fingerprint(0))]
    seen: list[JobStatus] = []
    ended = client.submit(WEEKLY).wait(timeout_s=10, on_change=seen.append)
    assert [status.state for status in seen] == ["queued", "running", "completed"]
    assert ended == seen[-1]
    assert ended.finished
    assert (ended.progress, ended.attempts, ended.execution_id, ended.row_count) == (1.0, 1, 7, 3)


def test_wait_gives_up_after_its_time_and_the_job_goes_on(service: Service, client: Client) -> None:
    service.course = [RUNNING]
    job = client.submit(WEEKLY)
    start = time.monotonic()
    with pytest.raises(TimeoutError, match=r"job job-1 is running after 0\.2 s; it goes on") as late:
        job.wait(timeout_s=0.2)
    assert isinstance(late.value, WaitTimeoutError)
    assert 0.2 <= time.monotonic() - start < 2
    assert job.status().state == "running"
    assert service.asked["GET /api/v1/jobs/job-1"] < 12


def test_a_wait_of_no_time_looks_once(service: Service, client: Client) -> None:
    job = client.submit(WEEKLY)
    with pytest.raises(WaitTimeoutError):
        job.wait(timeout_s=0)
    assert service.asked["GET /api/v1/jobs/job-1"] == 1


def test_the_result_is_the_answer_that_was_stored(service: Service, client: Client) -> None:
    service.course = [completed(fingerprint(4))]
    service.answers[fingerprint(4)] = value(4)
    result = client.submit(WEEKLY).result()
    expected = answer(4)
    assert result.trades.equals(expected.trades)
    assert result.notices.equals(expected.notices)
    assert result.equity.equals(expected.equity)
    assert result.statistics == expected.statistics
    assert result.pivot == expected.pivot
    assert result.provenance == expected.provenance
    assert result.fingerprint == fingerprint(4)
    frame = result.to_pandas()
    assert list(frame.columns) == expected.trades.column_names
    assert frame["net_pnl"].iloc[2] == 4.0


def test_a_finished_job_gives_its_result_in_one_request_within_30_ms(service: Service, client: Client) -> None:
    service.course = [completed(fingerprint(4))]
    service.answers[fingerprint(4)] = value(4)
    job = client.job(client.submit(WEEKLY).job_id)
    before = service.asked.total()
    job.result()
    assert service.asked.total() == before + 1
    assert any(seconds(job.result) < 0.03 for _ in range(20))


def test_the_bytes_of_another_answer_or_damaged_ones_are_refused(service: Service, client: Client) -> None:
    service.answers = {fingerprint(1): value(2), fingerprint(2): value(2)[:-1]}
    for number in (1, 2):
        with pytest.raises(CorruptAnswerError, match=fingerprint(number)):
            client.result(fingerprint(number))


def test_an_answer_that_is_not_kept_says_what_to_do(client: Client) -> None:
    with pytest.raises(MissingDataError, match="submit the question again"):
        client.result(fingerprint(1))


def test_a_job_without_an_answer_says_why(service: Service, client: Client) -> None:
    job = client.submit(WEEKLY)
    with pytest.raises(JobNotFinishedError, match="is queued; wait"):
        job.result()
    service.course = [FAILED]
    with pytest.raises(JobFailedError, match="MissingDataError: NIFTY was never ingested") as failed:
        job.result()
    assert (failed.value.error_type, failed.value.message) == ("MissingDataError", "NIFTY was never ingested")
    service.course = [CANCELLED]
    with pytest.raises(JobCancelledError, match="job-1 was cancelled"):
        job.result()


def test_cancel_may_be_repeated_but_not_for_a_finished_job(service: Service, client: Client) -> None:
    job = client.submit(WEEKLY)
    job.cancel()
    job.cancel()
    assert job.status().state == "cancelled"
    other = client.submit(WEEKLY)
    service.course = [completed(fingerprint(0))]
    other.wait(timeout_s=5)
    with pytest.raises(JobFinishedError, match="job-2"):
        other.cancel()


@pytest.mark.parametrize("job_id", ["nothing", "../results/x", "a b?c#d", "..", ""])
def test_an_unknown_id_is_said_to_be_unknown_whatever_it_looks_like(client: Client, job_id: str) -> None:
    for ask in (client.job, client.cancel, client.logs):
        with pytest.raises(UnknownJobError) as unknown:
            ask(job_id)
        assert unknown.value.value == job_id


def test_jobs_lists_the_newest_first_and_can_be_narrowed(service: Service, client: Client) -> None:
    for variant in (WEEKLY, "call_sell_future_buy_t1", WEEKLY):
        client.submit(variant)
    service.jobs["job-1"] |= FAILED
    assert [job.job_id for job in client.jobs()] == ["job-3", "job-2", "job-1"]
    assert [job.job_id for job in client.jobs(limit=1)] == ["job-3"]
    assert [job.job_id for job in client.jobs("failed")] == ["job-1"]
    assert [job.job_id for job in client.jobs(variant="call_sell_future_buy_t1")] == ["job-2"]


def test_logs_go_on_after_the_piece_before_and_begin_anew_with_a_new_attempt(service: Service, client: Client) -> None:
    job = client.submit(WEEKLY)
    assert job.logs().run_id is None
    service.course = [RUNNING]
    service.log = [("started", "INFO"), ("slow", "WARNING"), ("done", "INFO")]
    first = job.logs()
    assert [(line.level, line.message) for line in first.lines] == [("INFO", "started"), ("WARNING", "slow")]
    assert first.lines[0].at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert first.has_more
    second = job.logs(after=first)
    assert [line.message for line in second.lines] == ["done"]
    assert not second.has_more
    service.course = [{**RUNNING, "run_id": "run-2"}]
    assert job.logs(after=second).lines == first.lines


def test_the_client_imports_neither_dagster_nor_pyarrow_nor_pandas() -> None:
    code = "import sys, backtest_pipelines.client; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert set(done.stdout.split()) & {"dagster", "pyarrow", "numpy", "pandas", "sqlite3", "pydantic"} == set()
