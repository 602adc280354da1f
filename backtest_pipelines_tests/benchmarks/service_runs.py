"""Runs and jobs as callers see them: submitted, polled, cancelled; their times on the caller's clock."""

from __future__ import annotations

import itertools
import json
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import httpx

from backtest_pipelines.graphql import documents, names, replies

VARIANT = "call_sell_future_buy_weekly"
SYMBOL = "NIFTY"
POLL_S = 0.01
GROUP_POLL_S = 0.2
TIMEOUT_S = 120.0
LONG_S = 15.0
"""Of a run that is there to be cancelled."""
CANCEL_MS = 10_000.0
"""A run that has not ended by then was not cancelled."""
TICK_S = 1.0
"""The queue's interval: runs are submitted at any moment of it, by chance."""
_EVENTS = """
query Events($run: ID!) {
  logsForRun(runId: $run) {
    ... on EventConnection { events { __typename ... on MessageEvent { timestamp eventType message } } }
  }
}
"""
_NEWEST = """
query Newest($count: Int!) {
  runsOrError(limit: $count) {
    ... on Runs { results { runId status creationTime startTime endTime tags { key value } } }
  }
}
"""


@dataclass(frozen=True)
class Timing:
    """One run, in ms since just before it was submitted.

    Attributes
    ----------
    call_ms : float
        Until the call that submitted it returned.
    seen_ms : float
        Until a caller that polls saw its success.
    event_ms : float
        Until its success, by the success's own time.
    events : tuple of (str, float)
        What it wrote until then, in its order.
    """

    call_ms: float
    seen_ms: float
    event_ms: float
    events: tuple[tuple[str, float], ...]


class Web:
    """Dagster's web server and, where there is one, the API, over connections that are kept.

    Parameters
    ----------
    web_url : str
    url : str or None
    """

    def __init__(self, web_url: str, url: str | None) -> None:
        self._web = httpx.Client(base_url=web_url, timeout=TIMEOUT_S, trust_env=False)
        self._api = httpx.Client(base_url=url or web_url, timeout=TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._web.close()
        self._api.close()

    def ask(self, document: str, **variables: object) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        return replies.data(
            self._web.post("/graphql", content=documents.body(document, **variables), headers=headers).content
        )

    def launch(self, job: str, config: Mapping[str, object]) -> str:
        return replies.launched(self.ask(documents.LAUNCH, execution=documents.execution(job, SYMBOL, config)))

    def launch_slow(self, seconds: float) -> str:
        execution = documents.execution("slow_job", SYMBOL, {"ops": {"slow": {"config": {"seconds": seconds}}}})
        execution["executionMetadata"] = {"tags": []}  # this job knows no symbols
        return replies.launched(self.ask(documents.LAUNCH, execution=execution))

    def launch_question(self, question: Mapping[str, object]) -> str:
        return self.launch(f"{VARIANT}_job", {"ops": {VARIANT: {"config": question}}})

    def status(self, run_id: str) -> str:
        state = replies.run_state(self.ask(documents.RUN, run=run_id))
        assert state is not None, run_id
        return state.status

    def newest(self, count: int) -> list[replies.RunState]:
        return list(replies.run_states(self.ask(_NEWEST, count=count)).values())

    def cancel(self, run_id: str, policy: str = "SAFE_TERMINATE") -> bool:
        """Ask for a run's end, and return whether this was accepted."""
        return replies.refusal(self.ask(documents.TERMINATE, run=run_id, policy=policy)) is None

    def events(self, run_id: str) -> list[tuple[str, float]]:
        """Return what each event of a run says and when, in seconds since 1970."""
        found = self.ask(_EVENTS, run=run_id)["logsForRun"]["events"]
        return [(_word(event["eventType"], event["message"]), float(event["timestamp"]) / 1000) for event in found]

    def submit_job(self, question: Mapping[str, object]) -> str:
        reply = self._api.post("/api/v1/jobs", json={"variant": VARIANT, "symbol": SYMBOL, "parameters": question})
        assert reply.status_code == httpx.codes.CREATED, reply.text
        return str(reply.json()["job_id"])

    def job(self, job_id: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._api.get(f"/api/v1/jobs/{job_id}?result=false").content)
        return content

    def success(self, run_id: str) -> None:
        """Wait for the success of a run, polling as fast as sensible callers would."""
        wait(lambda: self.status(run_id) in names.ENDED, POLL_S)
        status = self.status(run_id)
        assert status == "SUCCESS", f"run {run_id}: {status}"


class Questions:
    """Questions of which no two are equal, so that each is computed and none comes out of a cache."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def next(self) -> dict[str, object]:
        return {"spot_adjustment_type": 3, "spot_adjustment": round(1 + next(self._numbers) * 0.001, 3)}


def wait(is_so: Callable[[], bool], poll_s: float, seen: Callable[[], object] = str) -> None:
    deadline_s = time.monotonic() + TIMEOUT_S
    while not is_so():
        assert time.monotonic() < deadline_s, f"waited for {TIMEOUT_S:.0f} s {seen()}"
        time.sleep(poll_s)


def at_any_moment() -> None:
    """Pause by chance: else each run would be submitted at the same moment of the queue's interval."""
    time.sleep(random.random() * TICK_S)


def milliseconds(call: Callable[[], object]) -> float:
    """Return how long a call took."""
    start = time.perf_counter()
    call()
    return _ms_since(start)


def timed_run(web: Web, questions: Questions) -> Timing:
    """Launch one run by GraphQL, and poll it until its success."""
    question = questions.next()
    at_any_moment()
    submitted_s, start = time.time(), time.perf_counter()
    run_id = web.launch_question(question)
    call_ms = _ms_since(start)
    web.success(run_id)
    return _timing(web, run_id, submitted_s, call_ms, _ms_since(start))


def timed_job(web: Web, questions: Questions) -> Timing:
    """Submit one job to the API, and poll it until it is completed."""
    question = questions.next()
    at_any_moment()
    submitted_s, start = time.time(), time.perf_counter()
    job_id = web.submit_job(question)
    call_ms = _ms_since(start)
    wait(lambda: web.job(job_id)["status"] in ("completed", "failed"), POLL_S)
    seen_ms = _ms_since(start)
    job = web.job(job_id)
    assert job["status"] == "completed", job
    return _timing(web, job["run_id"], submitted_s, call_ms, seen_ms)


def burst_s(web: Web, questions: Questions, runs: int, callers: int) -> float:
    """Return the seconds from the first submission of a burst to the last success."""
    asked = [questions.next() for _ in range(runs)]
    start_s = time.time()
    with ThreadPoolExecutor(callers) as pool:
        run_ids = list(pool.map(web.launch_question, asked))
    wait(
        lambda: all(state.has_ended for state in _states(web, run_ids)),
        GROUP_POLL_S,
        lambda: [(state.run_id, state.status) for state in _states(web, run_ids) if not state.has_ended],
    )
    states = _states(web, run_ids)
    assert {state.status for state in states} == {"SUCCESS"}, [state.status for state in states]
    return max(state.ended_at_s or 0.0 for state in states) - start_s


@dataclass
class Cancels:
    """Times of cancels, in ms: of the call, and from before it until the run was seen to have ended.

    Those that were refused or without effect are in no times; they are counted, and those that ended as a failure.
    """

    waiting_call_ms: list[float] = field(default_factory=list)
    waiting_ms: list[float] = field(default_factory=list)
    running_call_ms: list[float] = field(default_factory=list)
    running_ms: list[float] = field(default_factory=list)
    failures: int = 0


def cancels(web: Web, slots: int, rounds: int, has_begun: Callable[[str], bool]) -> Cancels:
    """Fill all slots with long runs, cancel two that wait, then one that runs, and let the others end.

    Parameters
    ----------
    web : Web
    slots : int
        Runs at the same time.
    rounds : int
    has_begun : callable
        Says whether the step of a run has begun.
    """
    found = Cancels()
    for _ in range(rounds):
        running = [web.launch_slow(LONG_S) for _ in range(slots)]
        wait(lambda running=running: all(map(has_begun, running)), GROUP_POLL_S)  # type: ignore[misc]
        for _ in range(2):
            waiting = web.launch_slow(LONG_S)
            at_any_moment()
            found.failures += not _is_cancelled(web, waiting, found.waiting_call_ms, found.waiting_ms)
        found.failures += not _is_cancelled(web, running[0], found.running_call_ms, found.running_ms)
        wait(lambda running=running: all(state.has_ended for state in _states(web, running)), GROUP_POLL_S)  # type: ignore[misc]
    return found


def _is_cancelled(web: Web, run_id: str, call_ms: list[float], ended_ms: list[float]) -> bool:
    start = time.perf_counter()
    is_accepted = web.cancel(run_id)
    taken_ms = _ms_since(start)
    while is_accepted and _ms_since(start) < CANCEL_MS:
        if (status := web.status(run_id)) in names.ENDED:
            call_ms.append(taken_ms)
            ended_ms.append(_ms_since(start))
            return status == "CANCELED"
        time.sleep(POLL_S)
    web.cancel(run_id, "MARK_AS_CANCELED_IMMEDIATELY")  # it must not keep a slot
    return False


def _states(web: Web, run_ids: Sequence[str]) -> list[replies.RunState]:
    return list(replies.run_states(web.ask(documents.RUNS, runs=run_ids)).values())


def _timing(web: Web, run_id: str, submitted_s: float, call_ms: float, seen_ms: float) -> Timing:
    events = [(word, (at_s - submitted_s) * 1000) for word, at_s in web.events(run_id)]
    until_success = events[: [word for word, _ in events].index("RUN_SUCCESS") + 1]
    event_ms = until_success[-1][1]
    return Timing(call_ms, seen_ms, event_ms, tuple(until_success))


def _word(kind: str | None, message: str) -> str:
    """Return the kind of an event, or its message without what is different in each run."""
    if kind not in (None, "ENGINE_EVENT", "LOGS_CAPTURED"):
        return str(kind)
    return re.sub(r"[(:].*", "", message)[:70].strip()


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000
