"""What the tests of the service ask Dagster's web server, in raw GraphQL, and what they know of runs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from backtest_pipelines.graphql.names import ENDED, REPOSITORY
from backtest_pipelines_tests.service.slow_definitions import JOB, WITNESS

_LAUNCH = """
mutation L($e: ExecutionParams!) {
  launchRun(executionParams: $e) { __typename ... on LaunchRunSuccess { run { runId } } ... on Error { message } }
}
"""
_RUN = "query R($r: ID!) { runOrError(runId: $r) { ... on Run { status tags { key value } } } }"
_EVENTS = """
query E($r: ID!, $c: String) {
  logsForRun(runId: $r, afterCursor: $c) {
    ... on EventConnection { cursor hasMore events {
      __typename
      ... on MessageEvent { timestamp message eventType }
      ... on ExecutionStepFailureEvent { failureMetadata { description } error { message } }
      ... on RunFailureEvent { error { message } }
    } }
  }
}
"""
_TERMINATE = "mutation T($r: String!) { terminateRun(runId: $r) { __typename ... on Error { message } } }"
_GROUP = """
query G($r: ID!) {
  runGroupOrError(runId: $r) { ... on RunGroup { runs { runId status tags { key value } } } }
}
"""


@dataclass(frozen=True)
class Web:
    """Dagster behind a URL: the API's, or the web server's own."""

    url: str

    def ask(self, document: str, **variables: object) -> dict[str, Any]:
        reply = httpx.post(f"{self.url}/graphql", json={"query": document, "variables": variables}, timeout=40)
        reply.raise_for_status()
        answer = reply.json()
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def launch(self, job: str, config: Mapping[str, object], tags: Mapping[str, str] | None = None) -> str:
        execution = {
            "selector": {**REPOSITORY, "jobName": job},
            "runConfigData": config,
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
        }
        reply = self.ask(_LAUNCH, e=execution)["launchRun"]
        assert reply["__typename"] == "LaunchRunSuccess", reply
        return str(reply["run"]["runId"])

    def launch_slow(self, tags: Mapping[str, str] | None = None, **config: object) -> str:
        return self.launch(JOB, {"ops": {"slow": {"config": config}}}, tags)

    def status(self, run_id: str) -> str:
        return str(self.ask(_RUN, r=run_id)["runOrError"]["status"])

    def tags(self, run_id: str) -> dict[str, str]:
        return {tag["key"]: tag["value"] for tag in self.ask(_RUN, r=run_id)["runOrError"]["tags"]}

    def wait(self, run_id: str, timeout_s: float, *wanted: str) -> str:
        """Wait for one of the statuses, or for the end."""
        until(lambda: self.status(run_id) in (wanted or ENDED), timeout_s, f"{run_id} to become {wanted or 'ended'}")
        return self.status(run_id)

    def cancel(self, run_id: str) -> str:
        return str(self.ask(_TERMINATE, r=run_id)["terminateRun"]["__typename"])

    def events(self, run_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = self.ask(_EVENTS, r=run_id, c=cursor)["logsForRun"]
            found += page["events"]
            cursor = page["cursor"]
            if not page["hasMore"]:
                return found

    def words(self, run_id: str) -> str:
        """Return all that a run's log says of failures and engine events."""
        parts = []
        for event in self.events(run_id):
            parts.append(str(event.get("message")))
            parts.append(str((event.get("failureMetadata") or {}).get("description", "")))
            parts.append(str((event.get("error") or {}).get("message", "")))
        return "\n".join(parts)

    def group(self, run_id: str) -> list[dict[str, Any]]:
        """Return the run and its retries, the oldest first."""
        group = self.ask(_GROUP, r=run_id)["runGroupOrError"]
        runs = group.get("runs") or []
        return sorted(runs, key=lambda run: int(tag_of(run, "dagster/retry_number") or "0"))


def tag_of(run: Mapping[str, Any], key: str) -> str | None:
    return next((tag["value"] for tag in run["tags"] if tag["key"] == key), None)


def until(is_so: Callable[[], bool], timeout_s: float, what: str) -> float:
    """Wait until something is so and return the seconds that it took."""
    start = time.monotonic()
    while not is_so():
        waited = time.monotonic() - start
        assert waited < timeout_s, f"waited {waited:.0f} s for {what}"
        time.sleep(0.05)
    return time.monotonic() - start


def witness(home: Path, run_id: str) -> list[str]:
    """Return what a slow run wrote: its begins and ends, each with the process."""
    path = home / WITNESS / run_id
    return path.read_text().splitlines() if path.exists() else []
