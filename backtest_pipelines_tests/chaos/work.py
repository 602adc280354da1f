"""What an installation is given to do while it is hurt, and what must have come of it when it is well again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

import httpx

from backtest_pipelines.client import Job
from backtest_pipelines.errors import BacktestError
from backtest_pipelines.executions.execute import execute
from backtest_pipelines.executions.request import ExecutionRequest
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.graphql.names import JOB_ID_TAG, WILL_RETRY_TAG
from backtest_pipelines.strategies import catalogue
from backtest_pipelines_tests.chaos.target import Target
from backtest_pipelines_tests.service.dagster import Web, tag_of, until, witness

ENDS = {"RUN_SUCCESS": "SUCCESS", "RUN_FAILURE": "FAILURE", "RUN_CANCELED": "CANCELED"}
UNDER_WAY = ["QUEUED", "STARTING", "STARTED", "CANCELING"]
POLL_S = 0.2
BEGIN_S = 90.0
_RUNS = """
query R($f: RunsFilter!) {
  runsOrError(filter: $f) { ... on Runs { results { runId status tags { key value } } } }
}
"""

Question = tuple[str, int, str]
"""Variant, kind of spot adjustment, and its size in percent."""


class Answers:
    """The right answers, computed in this process from a copy of the panels.

    Parameters
    ----------
    target : Target
    folder : Path
        Of the copy.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        target.copy_of_panels(folder)
        self._workspace = Workspace(Settings(folder, folder / "inbox", None))
        self.encoded = lru_cache(maxsize=None)(self._encoded)

    def _encoded(self, question: Question) -> tuple[str, bytes]:
        variant, kind, percent = question
        parameters = {"spot_adjustment_type": kind, "spot_adjustment": percent}
        executed = execute(ExecutionRequest(variant=variant, parameters=parameters), self._workspace)
        return executed.fingerprint, executed.encoded

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._workspace.close()


class Work:
    """The jobs and runs of one fault.

    Parameters
    ----------
    target : Target
    answers : Answers
    chance : Random
    """

    def __init__(self, target: Target, answers: Answers, chance: Random) -> None:
        self._target = target
        self._answers = answers
        self._chance = chance
        self._jobs: dict[str, Question] = {}
        self._runs: dict[str, str] = {}
        self._left_behind: dict[str, list[object]] = {}

    def submit(self, count: int = 1) -> list[Job]:
        """Submit jobs by REST, each with a request id, again and again until it is accepted."""
        return [self._submit(self.question(), self._request_id()) for _ in range(count)]

    def submit_twice(self) -> None:
        """Submit a job; then, as a client that heard nothing would, the same again."""
        question, request_id = self.question(), self._request_id()
        first = self._submit(question, request_id)
        again = self._submit(question, request_id)
        assert first.job_id == again.job_id, f"{request_id} is two jobs: {first.job_id} and {again.job_id}"

    def slow(self, seconds: float, ends_as: str = "SUCCESS") -> str:
        """Launch a run of the slow job by GraphQL, again and again until it is accepted; one counts."""
        run_id = self._target.web.launch_slow(seconds=seconds)
        self._runs[run_id] = ends_as
        return run_id

    def slow_begun(self, seconds: float, ends_as: str = "SUCCESS") -> str:
        """Launch a run of the slow job and wait until its step has begun."""
        run_id = self.slow(seconds, ends_as)
        until(lambda: bool(witness(self._target.home, run_id)), BEGIN_S, "the step")
        return run_id

    def note_left_behind(self, run_id: str) -> None:
        """Remember the log of a run: its process was given up, and must not write more."""
        self._left_behind[run_id] = self._written(run_id)

    def question(self) -> Question:
        variant = self._chance.choice(catalogue.VARIANTS)
        return variant.name, self._chance.randrange(4), f"{self._chance.randint(1, 8) / 4}"

    def wait(self, within_s: float) -> float:
        """Wait for all to have ended as they should, and return the seconds that it took."""
        start = time.monotonic()
        waiting = self._waiting()
        while waiting:
            waited_s = time.monotonic() - start
            assert waited_s < within_s, f"after {waited_s:.0f} s: {'; '.join(waiting)}"
            time.sleep(POLL_S)
            waiting = self._waiting()
        return time.monotonic() - start

    def check(self) -> None:
        """Make sure that nothing was doubled, nothing is wrong, and nothing was written by those given up."""
        for job_id, question in self._jobs.items():
            self._check_job(job_id, question)
        for run_id in self._runs:
            self._check_group(run_id)
        for run_id, before in self._left_behind.items():
            written = [entry for entry in self._written(run_id) if entry not in before]
            assert not written, f"run {run_id} was written to after its process had lost it: {written}"
        under_way = self._found(statuses=UNDER_WAY)
        assert not under_way, f"runs that nobody waits for are under way: {under_way}"

    def _request_id(self) -> str:
        return f"chaos-{self._chance.getrandbits(64):x}"

    def _submit(self, question: Question, request_id: str) -> Job:
        variant, kind, percent = question
        parameters = {"spot_adjustment_type": kind, "spot_adjustment": percent}
        job = self._target.client.submit(variant, parameters=parameters, use_cache=False, request_id=request_id)
        self._jobs[job.job_id] = question
        return job

    def _waiting(self) -> list[str]:
        try:
            jobs = {job_id: self._target.client.job(job_id).snapshot for job_id in self._jobs}
            groups = {run_id: self._group(run_id)[-1] for run_id in self._runs}
        except (BacktestError, httpx.HTTPError, AssertionError) as error:
            return [f"the service does not answer: {error}"]
        late_jobs = [
            f"job {job_id} is {snapshot.state}, run {snapshot.run_id}, {snapshot.error}"
            for job_id, snapshot in jobs.items()
            if snapshot.state != "completed"
        ]
        late_runs = [
            f"run {run_id}, last attempt {last['runId']}, is {last['status']}"
            for run_id, last in groups.items()
            if last["status"] != self._runs[run_id]
        ]
        return late_jobs + late_runs

    def _check_job(self, job_id: str, question: Question) -> None:
        snapshot = self._target.client.job(job_id).snapshot
        attempts = self._found(tags=[{"key": JOB_ID_TAG, "value": job_id}])
        succeeded = [run["runId"] for run in attempts if run["status"] == "SUCCESS"]
        assert succeeded == [snapshot.run_id], f"job {job_id}, run {snapshot.run_id}, has the runs {attempts}"
        for run in attempts:
            kinds = self._check_run(run)
            # Refused by the queue, or left behind by a web server that could not queue it: it never began.
            refused = run["status"] in ("CANCELED", "NOT_STARTED") and not kinds["RUN_START"]
            retried = run["status"] == "FAILURE" and tag_of(run, WILL_RETRY_TAG) == "true"
            assert run["status"] == "SUCCESS" or refused or retried, f"job {job_id} has a run of its own: {run}"
        recorded = self._executions(job_id)
        assert recorded == ["completed"], f"job {job_id} has the executions {recorded}"
        fingerprint, encoded = self._answers.encoded(question)
        assert snapshot.fingerprint == fingerprint, f"job {job_id} answers another question than {question}"
        served = httpx.get(f"{self._target.client.url}/api/v1/results/{fingerprint}").content
        assert served == encoded, f"the answer {fingerprint} of job {job_id} is wrong"

    def _check_group(self, run_id: str) -> None:
        group = self._group(run_id)
        ends = [run["status"] for run in group]
        wanted = self._runs[run_id]
        assert ends == ["FAILURE"] * (len(group) - 1) + [wanted], f"the attempts of run {run_id} are {ends}"
        for run in group:
            self._check_run(run)
            lines = [line.split() for line in witness(self._target.home, run["runId"])]
            words = [word for word, _pid in lines]
            assert words in ([], ["begin"], ["begin", "end"]), (
                f"run {run['runId']} was executed more than once: {lines}"
            )
            assert len({pid for _word, pid in lines}) <= 1, f"run {run['runId']} had two processes: {lines}"
            if run["status"] == "SUCCESS":
                assert words == ["begin", "end"], f"run {run['runId']} succeeded without its work: {lines}"

    def _check_run(self, run: Mapping[str, Any]) -> Counter[str]:
        """An end that was written twice is no harm; two different ones are. Return how many events of a kind it has."""
        kinds = Counter(str(event["eventType"]) for event in self._target.web.events(run["runId"]))
        found = {status for word, status in ENDS.items() if kinds[word]}
        ended = {run["status"]} - {"NOT_STARTED"}
        assert found == ended, f"run {run['runId']} is {run['status']}; its log says {found}"
        return kinds

    def _executions(self, job_id: str) -> list[str]:
        """Return the outcomes on record; an attempt that lost its worker may have been the one that recorded it."""
        with self._target.database.connection() as connection:
            rows = connection.execute("SELECT outcome FROM executions WHERE job_id = ?", job_id).all()
        return [str(outcome) for (outcome,) in rows]

    def _group(self, run_id: str) -> list[dict[str, Any]]:
        web: Web = self._target.web
        return web.group(run_id) or [{"runId": run_id, "status": web.status(run_id), "tags": []}]

    def _found(self, **wanted: object) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._target.web.ask(_RUNS, f=wanted)["runsOrError"]["results"]
        return found

    def _written(self, run_id: str) -> list[object]:
        # Others may still note that it is tried again.
        events = self._target.web.events(run_id)
        return [event for event in events if event.get("eventType") not in (None, "ENGINE_EVENT")]
