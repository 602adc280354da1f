"""What the demo asks of Dagster's web server: launch a run, wait for it, read what it says."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError

from backtest_pipelines.errors import BugError, UnavailableError

LOCATION = "backtest_pipelines"
"""Name of the code location: Dagster keeps the state of sensors and schedules under it."""
POLL_S = 0.1
ENDED = ("SUCCESS", "FAILURE", "CANCELED")

REPOSITORY = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}
_LAUNCH = """
mutation Launch($execution: ExecutionParams!) {
  launchRun(executionParams: $execution) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_RUN = """
query Run($run: ID!) {
  runOrError(runId: $run) {
    ... on Run {
      status
      assetMaterializations {
        metadataEntries {
          label
          ... on FloatMetadataEntry { floatValue }
          ... on IntMetadataEntry { intValue }
          ... on BoolMetadataEntry { boolValue }
          ... on TextMetadataEntry { text }
        }
      }
      eventConnection {
        events { ... on ExecutionStepFailureEvent { errorSource failureMetadata { description } error { message } } }
      }
    }
  }
}
"""
_LOCATIONS = """
query Locations {
  workspaceOrError {
    ... on Workspace {
      locationEntries { loadStatus locationOrLoadError { ... on PythonError { message } } }
    }
  }
}
"""
_STATUS = "query Status($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"


@dataclass(frozen=True, slots=True)
class Run:
    """A run that has ended.

    Attributes
    ----------
    status : {"SUCCESS", "FAILURE", "CANCELED"}
    metadata : Mapping of str to value
        Numbers and texts of the last materialization.
    failures : tuple of str
        What the failed steps said.
    """

    status: str
    metadata: Mapping[str, Any]
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Dagster:
    """Dagster's web server at a URL; a reply may take as long as the time-out."""

    url: str
    timeout_s: float = 60.0

    def is_ready(self) -> bool:
        """Say whether the server answers and has loaded the code location.

        Raises
        ------
        BugError
            If the definitions cannot be loaded.
        """
        try:
            entries = self.ask(_LOCATIONS)["workspaceOrError"].get("locationEntries", [])
        except UnavailableError:
            return False
        for entry in entries:
            if message := (entry["locationOrLoadError"] or {}).get("message"):
                msg = f"the definitions cannot be loaded: {message}"
                raise BugError(msg)
        return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)

    def launch(self, job: str, partition: str, config: Mapping[str, object]) -> str:
        """Launch a job for a partition and return the run's id."""
        execution = {
            "selector": {**REPOSITORY, "jobName": job},
            "runConfigData": json.dumps(config),
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": partition}]},
        }
        reply = self.ask(_LAUNCH, execution=execution)["launchRun"]
        if reply["__typename"] != "LaunchRunSuccess":
            msg = f"{job} was not launched: {reply}"
            raise BugError(msg)
        return str(reply["run"]["runId"])

    def wait(self, run_id: str, timeout_s: float) -> Run:
        """Wait for the end of a run.

        Raises
        ------
        UnavailableError
            If it takes longer.
        """
        deadline = time.monotonic() + timeout_s
        while self.ask(_STATUS, run=run_id)["runOrError"]["status"] not in ENDED:
            if time.monotonic() > deadline:
                msg = f"run {run_id} did not end within {timeout_s:.0f} s"
                raise UnavailableError(msg)
            time.sleep(POLL_S)
        found = self.ask(_RUN, run=run_id)["runOrError"]
        metadata = {
            entry.pop("label"): next(iter(entry.values()), None)
            for materialization in found["assetMaterializations"][-1:]
            for entry in materialization["metadataEntries"]
        }
        failures = [
            (event["failureMetadata"] or {}).get("description") or (event["error"] or {}).get("message", "")
            for event in found["eventConnection"]["events"]
            if event
        ]
        return Run(found["status"], metadata, tuple(failures))

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Return the data of the answer to a query.

        Raises
        ------
        UnavailableError
            If the server does not answer.
        BugError
            If it refuses the query.
        """
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as reply:  # noqa: S310 - loopback
                answer = json.load(reply)
        except (URLError, ConnectionError, TimeoutError) as error:
            msg = f"the web server at {self.url} does not answer: {error}"
            raise UnavailableError(msg) from error
        if answer.get("errors"):
            msg = f"GraphQL: {answer['errors'][0]['message']}"
            raise BugError(msg)
        data: dict[str, Any] = answer["data"]
        return data
