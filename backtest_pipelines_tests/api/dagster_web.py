"""Dagster's own web server behind an API, neither a daemon nor a worker: what is launched stays queued."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import httpx

from backtest_pipelines.api.answer_models import JobWithResult
from backtest_pipelines.graphql import documents, replies
from backtest_pipelines.graphql.names import JOB_ID_TAG
from backtest_pipelines_tests.api.processes import Api, api, running, wait_until_ok
from backtest_pipelines_tests.servers import ValkeyServer

PROJECT = Path(__file__).parents[2]
VARIANT = "call_sell_future_buy_weekly"
WAIT_S = 30.0

Json = dict[str, Any]


@dataclass(frozen=True)
class Installation:
    """An API, and where the web server behind it is or will be."""

    api: Api
    client: httpx.Client
    web_url: str
    environ: Mapping[str, str]

    def submit(self, key: str | None = None, **fields: object) -> Json:
        headers = {} if key is None else {"Idempotency-Key": key}
        answer = self.client.post("/api/v1/jobs", json={"variant": VARIANT, **fields}, headers=headers)
        assert answer.status_code == 201, answer.text
        job: Json = answer.json()
        return job

    def launched(self, **fields: Any) -> Json:
        """Submit a job, and wait for its run where the launch takes longer than a caller waits for it."""
        return self.wait(self.submit(**fields)["job_id"], lambda job: job["run_id"])

    def job(self, job_id: str) -> Json:
        answer = self.client.get(f"/api/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: Json = answer.json()
        assert set(job) | {"result"} == set(JobWithResult.model_fields)
        JobWithResult.model_validate(job)
        return job

    def wait(self, job_id: str, is_so: Callable[[Json], object], timeout_s: float = WAIT_S) -> Json:
        """Ask for a job until something is so."""
        deadline = time.monotonic() + timeout_s
        while not is_so(job := self.job(job_id)):
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
        return job

    def runs(self, job_id: str) -> list[str]:
        """Return the statuses of all runs that were launched for a job."""
        with self.dagster() as instance:
            runs = instance.get_runs(dg.RunsFilter(tags={JOB_ID_TAG: job_id}))
        return sorted(run.status.value for run in runs)

    def ask(self, document: str, **variables: object) -> Json:
        """Ask Dagster by GraphQL, through the gateway."""
        answer = self.client.post(
            "/graphql", content=documents.body(document, **variables), headers={"Content-Type": "application/json"}
        )
        return replies.data(answer.content)

    @contextmanager
    def dagster(self) -> Iterator[dg.DagsterInstance]:
        """Open Dagster's store in this process."""
        with dg.DagsterInstance.from_config(self.environ["DAGSTER_HOME"]) as instance:
            yield instance

    @contextmanager
    def web_server(self) -> Iterator[None]:
        """Run the web server."""
        port = self.web_url.rpartition(":")[2]
        command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", port]
        home = self.api.home
        with running(
            [*command, "-w", str(PROJECT / "workspace.yaml")], home, home / "web.log", self.environ
        ) as process:
            wait_until_ok(f"{self.web_url}/server_info", process)
            yield

    @contextmanager
    def worker(self) -> Iterator[None]:
        """Run a worker, which takes what is queued."""
        command = [sys.executable, "-m", "backtest_pipelines.service.worker"]
        with running(command, self.api.home, self.api.home / "worker.log", self.environ):
            yield


@contextmanager
def installation(home: Path, web_port: int) -> Iterator[Installation]:
    """Run an API with an empty store and a broker, without a web server yet."""
    (home / "dagster").mkdir(parents=True)
    shutil.copy(PROJECT / "dagster.yaml", home / "dagster")
    web_url = f"http://127.0.0.1:{web_port}"
    with ExitStack() as stack:
        broker = stack.enter_context(ValkeyServer()).start()
        environ = {"DAGSTER_HOME": str(home / "dagster"), "REDIS_URL": f"unix://{broker.socket}?db=0"}
        store = [sys.executable, "-m", "backtest_pipelines.service.store"]
        with running(store, home, home / "store.log", environ) as process:
            assert process.wait(WAIT_S) == 0, (home / "store.log").read_text()
        served = stack.enter_context(api(home, web_url, environ=environ))
        client = stack.enter_context(httpx.Client(base_url=served.url, timeout=20, trust_env=False))
        yield Installation(served, client, web_url, environ)
