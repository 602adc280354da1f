"""Jobs through a real API and Dagster's real web server, which is down at first."""

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest

from backtest_pipelines.definitions import defs
from backtest_pipelines.graphql import documents, names, replies
from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.jobs import JobRecords
from backtest_pipelines.results.codec import decode
from backtest_pipelines_tests.api.dagster_web import VARIANT, WAIT_S, Installation, Json, installation
from backtest_pipelines_tests.api.problems import problem
from backtest_pipelines_tests.api.processes import api
from backtest_pipelines_tests.integration.dagster_servers import write_small_market
from backtest_pipelines_tests.ports import free_port

REQUEST = {
    "variant": VARIANT,
    "symbol": "NIFTY",
    "parameters": {"spot_adjustment_type": 3, "spot_adjustment": 0.5},
    "from_date": "2024-05-01",
    "phases": [["2024-05-02", "2024-05-30"]],
}


@dataclass(frozen=True)
class Early:
    """Jobs that were submitted while no web server answered."""

    accepted: Json
    cancelled: Json
    stuck: Json
    stuck_run: str


@pytest.fixture(scope="module")
def early(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Early]]:
    """An API, jobs that it accepted without a web server, and the web server started after them."""
    with installation(tmp_path_factory.mktemp("api") / "home", free_port()) as running:
        accepted = running.submit("early")
        cancelled = running.submit()
        assert running.client.delete(f"/api/v1/jobs/{cancelled['job_id']}").status_code == 204
        stuck = running.submit()
        # As if a web server had ended between making the run and queueing it.
        with running.dagster() as instance:
            job = defs().resolve_job_def(f"{VARIANT}_job")
            stuck_run = instance.create_run_for_job(job, tags={names.JOB_ID_TAG: stuck["job_id"]}).run_id
        with Database(running.api.home / "executions.sqlite") as database:
            assert JobRecords(database).attach(stuck["job_id"], stuck_run, None)
        with running.web_server():
            yield running, Early(accepted, cancelled, stuck, stuck_run)


@pytest.fixture(scope="module")
def service(early: tuple[Installation, Early]) -> Installation:
    return early[0]


def settle(service: Installation, job_ids: list[str]) -> None:
    """Wait until no launch of these jobs is under way."""
    deadline = time.monotonic() + WAIT_S
    while {"NOT_STARTED", "CANCELING"} & {status for job_id in job_ids for status in service.runs(job_id)}:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def all_but_the_queued(runs: list[str]) -> set[str]:
    """Return the statuses of the runs of a job besides its own, which waits.

    Each API that looks after a job may launch it; how many do depends on who comes first.
    """
    assert runs.count("QUEUED") == 1, runs
    return set(runs) - {"QUEUED"}


def test_what_came_while_the_web_server_was_down_is_launched_when_it_is_back(
    early: tuple[Installation, Early],
) -> None:
    service, jobs = early
    assert (jobs.accepted["status"], jobs.accepted["state"], jobs.accepted["run_id"]) == ("pending", "queued", None)
    service.wait(jobs.accepted["job_id"], lambda job: job["run_id"])
    assert service.runs(jobs.accepted["job_id"]) == ["QUEUED"]


def test_what_was_cancelled_before_it_had_a_run_never_gets_one(early: tuple[Installation, Early]) -> None:
    service, jobs = early
    job = service.job(jobs.cancelled["job_id"])
    assert (job["status"], job["state"], job["error"]["type"]) == ("failed", "cancelled", "cancelled")
    assert service.runs(job["job_id"]) == []


def test_a_job_is_created_once_and_its_request_comes_back_in_one_form(service: Installation) -> None:
    first = service.client.post("/api/v1/jobs", json={**REQUEST, "request_id": "one"})
    job = first.json()
    assert (first.status_code, first.headers["location"]) == (201, f"/api/v1/jobs/{job['job_id']}")
    assert (job["status"], job["state"], job["progress"], job["attempts"]) == ("pending", "queued", 0.0, 0)
    assert job["request"] == {
        "variant": VARIANT,
        "symbol": "NIFTY",
        "parameters": {"spot_adjustment_type": 3, "spot_adjustment": "0.5", "call_sell_position": "0"},
        "from_date": "2024-05-01",
        "to_date": None,
        "phases": [["2024-05-02", "2024-05-30"]],
        "exit_at_expiry": "close",
        "costs": False,
        "brokerage_inr_per_order": None,
        "use_cache": True,
    }
    job = service.wait(job["job_id"], lambda job: job["run_id"])
    again = service.client.post("/api/v1/jobs", json=job["request"], headers={"Idempotency-Key": "one"})
    assert (again.status_code, again.json()["job_id"], again.json()["run_id"]) == (200, job["job_id"], job["run_id"])
    other = service.client.post("/api/v1/jobs", json={**REQUEST, "costs": True, "request_id": "one"})
    assert problem(other, 409)["field"] == "request_id"
    assert service.runs(job["job_id"]) == ["QUEUED"]


def test_the_run_has_the_config_and_the_symbol_that_were_asked_for(service: Installation) -> None:
    fields = {**REQUEST, "symbol": "BANKNIFTY", "costs": True, "brokerage_inr_per_order": "12.5", "use_cache": False}
    job = service.launched(**fields)
    with service.dagster() as instance:
        run = instance.get_run_by_id(job["run_id"])
    assert run is not None
    assert run.tags[names.PARTITION_TAG] == "BANKNIFTY"
    config: Json = dict(run.run_config)
    assert config["ops"][VARIANT]["config"] == {
        "spot_adjustment_type": 3,
        "spot_adjustment": 0.5,
        "call_sell_position": 0.0,
        "from_date": "2024-05-01",
        "phases": [{"start": "2024-05-02", "end": "2024-05-30"}],
        "exit_at_expiry": "close",
        "costs": True,
        "brokerage_inr_per_order": 12.5,
        "use_cache": False,
    }


def test_racing_requests_of_one_key_are_one_job_with_one_run(service: Installation) -> None:
    def post(_: int) -> httpx.Response:
        return service.client.post("/api/v1/jobs", json=REQUEST, headers={"Idempotency-Key": "race"})

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(16)))
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    (job_id,) = {answer.json()["job_id"] for answer in answers}
    service.wait(job_id, lambda job: job["run_id"])
    assert service.runs(job_id) == ["QUEUED"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"variant": "no_such_variant"}, "variant"),
        ({"variant": 3}, "variant"),
        ({"symbol": "nifty"}, "symbol"),
        ({"parameters": {"spot_adjustment": 101}}, "spot_adjustment"),
        ({"parameters": {"spot_adjustment": "much"}}, "spot_adjustment"),
        ({"parameters": {"spot_adjustment": True}}, "spot_adjustment"),
        ({"parameters": {"no_such_parameter": 1}}, "parameter"),
        ({"parameters": []}, "parameters"),
        ({"from_date": "01-05-2024"}, "from_date"),
        ({"from_date": 20240501}, "from_date"),
        ({"phases": [["2024-05-30", "2024-05-02"]]}, "phases, row 1, start"),
        ({"phases": [["2024-05-30"]]}, "phases.0.1"),
        ({"exit_at_expiry": "open"}, "exit_at_expiry"),
        ({"costs": "yes"}, "costs"),
        ({"brokerage_inr_per_order": 20}, "brokerage_inr_per_order"),
        ({"use_cache": 1}, "use_cache"),
        ({"symbl": "NIFTY"}, "symbl"),
        ({"request_id": ""}, "request_id"),
        ({"request_id": "two words"}, "request_id"),
        ({"request_id": "x" * 201}, "request_id"),
    ],
    ids=str,
)
def test_a_wrong_request_is_refused_by_field_value_and_limit(service: Installation, change: Json, field: str) -> None:
    before = service.client.get("/api/v1/jobs?limit=1").json()[0]
    content = problem(service.client.post("/api/v1/jobs", json={**REQUEST, **change}), 422)
    assert (content["field"], bool(content["limit"])) == (field, True)
    assert content["detail"].startswith(f"{field}: got ")
    assert service.client.get("/api/v1/jobs?limit=1").json()[0] == before


def test_two_request_ids_that_differ_are_refused(service: Installation) -> None:
    body = {**REQUEST, "request_id": "a"}
    refused = service.client.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": "b"})
    assert problem(refused, 422)["value"] == "a"
    assert service.client.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": "a"}).status_code == 201


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b'{"variant": ', "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b'{"variant": "v", "parameters": {"spot_adjustment": ' + b"1" * 5000 + b"}}", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"variant": "' + VARIANT.encode() + b'", "parameters": {"spot_adjustment": NaN}}', "application/json", 422),
        (b'{"variant": "\\ud800"}', "application/json", 422),
        (b"{}", "text/plain", 415),
        (b" " * 1_000_001, "application/json", 413),
    ],
    ids=range(10),
)
def test_a_body_that_is_no_request_is_refused(service: Installation, body: bytes, media_type: str, status: int) -> None:
    answer = service.client.post("/api/v1/jobs", content=body, headers={"Content-Type": media_type})
    assert problem(answer, status)["status"] == status


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/results/" + "0" * 64, 404),
        ("DELETE", "/api/v1/jobs/no-such-job", 404),
        ("GET", "/api/v1/no-such-thing", 404),
        ("GET", "/api", 404),
        ("POST", "/api/v2/jobs", 404),
        ("PUT", "/api/v1/jobs", 405),
        ("GET", "/api/v1/jobs?limit=0", 422),
        ("GET", "/api/v1/jobs?status=done", 422),
        ("GET", "/api/v1/jobs?strategy=no_such_variant", 422),
    ],
)
def test_what_is_not_there_is_a_problem_too(service: Installation, method: str, path: str, status: int) -> None:
    problem(service.client.request(method, path), status)


def test_a_job_that_waits_is_cancelled_and_once_more_does_no_harm(service: Installation) -> None:
    job = service.launched()
    path = f"/api/v1/jobs/{job['job_id']}"
    assert service.client.delete(path).status_code == 204
    assert service.client.delete(path).status_code == 204
    ended = service.wait(job["job_id"], lambda job: job["status"] == "failed")
    assert (ended["state"], ended["error"]["type"], ended["attempts"]) == ("cancelled", "cancelled", 0)
    assert service.client.delete(path).status_code == 204
    assert service.runs(job["job_id"]) == ["CANCELED"]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("TimeLimitError: it took longer than 3300 s", "TimeLimitError"),
        ("Marked as failed: 'WorkerLostError: no beat for 4 s'", "WorkerLostError"),
        ("something else", "BugError"),
    ],
)
def test_a_failed_job_says_why_and_cannot_be_cancelled(service: Installation, message: str, kind: str) -> None:
    job = service.launched()
    with service.dagster() as instance:
        run = instance.get_run_by_id(job["run_id"])
        assert run is not None
        instance.add_run_tags(run.run_id, {"dagster/max_retries": "0"})
        instance.report_run_failed(run, message)
    failed = service.job(job["job_id"])
    assert (failed["status"], failed["state"], failed["progress"]) == ("failed", "failed", 1.0)
    assert failed["error"] == {"type": kind, "message": message.removeprefix(f"{kind}: ")}
    assert "failed" in problem(service.client.delete(f"/api/v1/jobs/{job['job_id']}"), 409)["detail"]


def test_a_run_that_will_be_tried_again_leaves_its_job_queued(service: Installation) -> None:
    job = service.launched()
    with service.dagster() as instance:
        run = instance.get_run_by_id(job["run_id"])
        assert run is not None
        instance.report_run_failed(run, "WorkerLostError: no beat")
    assert service.job(job["job_id"])["state"] == "queued"
    assert service.client.delete(f"/api/v1/jobs/{job['job_id']}").status_code == 204
    assert service.job(job["job_id"])["state"] == "cancelled"


def test_jobs_are_listed_newest_first_by_status_and_variant(service: Installation) -> None:
    first, second = service.submit(), service.submit(variant="call_sell_future_buy_t1")
    service.client.delete(f"/api/v1/jobs/{first['job_id']}")
    service.wait(first["job_id"], lambda job: job["status"] == "failed")

    def listed(query: str) -> list[str]:
        return [job["job_id"] for job in service.client.get(f"/api/v1/jobs?{query}").json()]

    assert listed("limit=2") == [second["job_id"], first["job_id"]]
    assert listed("limit=1&status=failed") == [first["job_id"]]
    assert listed("limit=1&status=pending") == [second["job_id"]]
    assert listed("strategy=call_sell_future_buy_t1") == [second["job_id"]]
    assert listed("status=completed") == []


def test_a_job_left_behind_by_an_api_that_died_is_launched_once_though_two_look_after_it(
    service: Installation,
) -> None:
    request = service.submit()["request"]
    with (
        api(service.api.home, service.web_url, environ=service.environ, log="second.log"),
        Database(service.api.home / "executions.sqlite") as database,
    ):
        text = json.dumps(request)
        jobs = [
            JobRecords(database).add(
                request_id=None, body_digest=str(uuid.uuid4()), variant=VARIANT, symbol="NIFTY", request=text
            )[0]
            for _ in range(4)
        ]
        for job in jobs:
            service.wait(job.job_id, lambda job: job["run_id"])
    time.sleep(1)  # a launch that the second one had just sent
    settle(service, [job.job_id for job in jobs])
    for job in jobs:
        assert all_but_the_queued(service.runs(job.job_id)) <= {"CANCELED"}


def test_without_a_web_server_a_job_is_not_known_to_stand_anywhere_but_can_be_cancelled(service: Installation) -> None:
    job = service.launched()
    path = f"/api/v1/jobs/{job['job_id']}"
    with api(service.api.home, f"http://127.0.0.1:{free_port()}", log="alone.log") as alone:
        answer = httpx.get(f"{alone.url}{path}")
        assert problem(answer, 503)["detail"].startswith("Dagster's web server")
        assert answer.headers["retry-after"] == "1"
        assert httpx.delete(f"{alone.url}{path}").status_code == 204
    service.wait(job["job_id"], lambda job: job["state"] == "cancelled")


def test_a_deleted_run_fails_its_job(service: Installation) -> None:
    job = service.launched()
    with service.dagster() as instance:
        instance.delete_run(job["run_id"])
    failed = service.job(job["job_id"])
    assert (failed["state"], failed["error"]["message"]) == ("failed", "Its run is not in Dagster any more.")


def test_the_documents_that_the_client_sends_are_understood(service: Installation) -> None:
    job = service.launched()
    assert replies.locations_are_loaded(service.ask(documents.LOCATIONS))
    run = replies.run_state(service.ask(documents.RUN, run=job["run_id"]))
    assert run is not None
    assert (run.status, run.has_ended, run.tags[names.JOB_ID_TAG]) == ("QUEUED", False, job["job_id"])
    page = replies.log_page(service.ask(documents.LOGS, run=job["run_id"], cursor=None))
    assert page is not None
    assert page.lines
    assert replies.log_page(service.ask(documents.LOGS, run=job["run_id"], cursor=page.cursor)).lines == ()  # type: ignore[union-attr]
    unknown = str(uuid.uuid4())
    assert replies.run_state(service.ask(documents.RUN, run=unknown)) is None
    assert replies.log_page(service.ask(documents.LOGS, run=unknown, cursor=None)) is None
    assert unknown in str(replies.refusal(service.ask(documents.TERMINATE, run=unknown, policy="SAFE_TERMINATE")))


def test_a_run_that_was_never_queued_is_replaced(early: tuple[Installation, Early]) -> None:
    service, jobs = early
    job = service.wait(jobs.stuck["job_id"], lambda job: job["run_id"] not in (None, jobs.stuck_run))
    assert job["state"] == "queued"
    settle(service, [job["job_id"]])
    assert all_but_the_queued(service.runs(job["job_id"])) == {"CANCELED"}


def test_a_worker_answers_the_job_and_the_api_serves_the_answer(service: Installation) -> None:
    market = service.api.home / "market"
    write_small_market(market)
    ingest(exchange_files(market), PanelStore(service.api.home / "panel"))
    for job in service.client.get("/api/v1/jobs?status=pending&limit=500").json():
        assert service.client.delete(f"/api/v1/jobs/{job['job_id']}").status_code == 204
    wanted, without_data = service.submit(), service.submit(from_date="2031-01-01")
    with service.worker():
        done = service.wait(wanted["job_id"], lambda job: job["status"] in ("completed", "failed"), 120)
        failed = service.wait(without_data["job_id"], lambda job: job["status"] in ("completed", "failed"), 120)
    assert (done["state"], done["progress"], done["attempts"], done["error"]) == ("completed", 1.0, 1, None)
    assert done["duration_ms"] > 0
    assert done["execution_id"] >= 1
    answer = service.client.get(f"/api/v1/results/{done['fingerprint']}")
    assert answer.headers["content-type"] == "application/vnd.backtest.answer"
    decoded = decode(answer.content)
    assert decoded.provenance["fingerprint"] == done["fingerprint"]
    assert decoded.row_count == done["row_count"] > 0
    assert (failed["state"], failed["error"]["type"]) == ("failed", "MissingDataError")


def test_what_was_cancelled_is_on_record_once(service: Installation) -> None:
    execution = documents.execution(f"{VARIANT}_job", "NIFTY", {"ops": {VARIANT: {"config": {"spot_adjustment": 3}}}})
    run_id = replies.launched(service.ask(documents.LAUNCH, execution=execution))
    service.ask(documents.TERMINATE, run=run_id, policy="SAFE_TERMINATE")
    job = service.submit(parameters={"spot_adjustment": 4})
    assert service.client.delete(f"/api/v1/jobs/{job['job_id']}").status_code == 204

    def recorded() -> list[Json]:
        listed: list[Json] = service.client.get("/api/v1/executions", params={"status": "failed", "limit": 1000}).json()
        return [found for found in listed if found["run_id"] == run_id or found["job_id"] == job["job_id"]]

    deadline = time.monotonic() + 30
    while len(found := recorded()) < 2:
        assert time.monotonic() < deadline, found
        time.sleep(0.2)
    by_door = {one["door"]: one for one in found}
    assert set(by_door) == {"dagster", "rest"}
    assert {one["error"]["type"] for one in found} == {"cancelled"}
    assert float(by_door["dagster"]["parameters"]["spot_adjustment"]) == 3
    assert by_door["rest"]["execution_id"] == job["execution_id"]
    time.sleep(4)
    assert len(recorded()) == 2
