"""The documents that Dagster's web server is sent, and what is sent with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from backtest_pipelines.graphql.names import PARTITION_TAG, REPOSITORY

LAUNCH: Final = """
mutation Launch($execution: ExecutionParams!) {
  launchRun(executionParams: $execution) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on Error { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_STATE: Final = "fragment State on Run { runId status creationTime startTime endTime tags { key value } }"
RUN: Final = f"query Run($run: ID!) {{ runOrError(runId: $run) {{ __typename ... on Run {{ ...State }} }} }} {_STATE}"
"""One run by its id. Its cost is one row of Dagster's storage."""
RUNS: Final = f"""
query Runs($runs: [String]) {{
  runsOrError(filter: {{ runIds: $runs }}) {{ ... on Runs {{ results {{ ...State }} }} ... on Error {{ message }} }}
}}
{_STATE}
"""
"""Several runs by their ids; those that do not exist are left out."""
ENDED_RUNS: Final = f"""
query EndedRuns($after: Float!, $limit: Int!, $cursor: String) {{
  runsOrError(filter: {{ statuses: [FAILURE, CANCELED], updatedAfter: $after }}, limit: $limit, cursor: $cursor) {{
    ... on Runs {{ results {{ ...State jobName assetSelection {{ path }} runConfig updateTime }} }}
    ... on Error {{ message }}
  }}
}}
{_STATE}
"""
"""Runs that failed or were cancelled, of those that changed after a time, in seconds since 1970; the newest first."""
FAILURES: Final = """
query Failures($runs: [String]) {
  runsOrError(filter: { runIds: $runs }) {
    ... on Error { message }
    ... on Runs {
      results {
        runId
        eventConnection {
          events {
            __typename
            ... on RunFailureEvent { message error { message } }
            ... on ExecutionStepFailureEvent {
              message
              error { message }
              failureMetadata { description metadataEntries { label ... on TextMetadataEntry { text } } }
            }
          }
        }
      }
    }
  }
}
"""
"""Why runs failed: read from their events, so asked only for those that did."""
METADATA: Final = """
query Metadata($run: ID!) {
  runOrError(runId: $run) {
    ... on Run {
      assetMaterializations {
        metadataEntries {
          label
          ... on FloatMetadataEntry { floatValue }
          ... on IntMetadataEntry { intValue }
          ... on BoolMetadataEntry { boolValue }
          ... on TextMetadataEntry { text }
        }
      }
    }
  }
}
"""
"""What the materializations of a run say."""
TERMINATE: Final = """
mutation Terminate($run: String!, $policy: TerminateRunPolicy) {
  terminateRun(runId: $run, terminatePolicy: $policy) {
    __typename
    ... on TerminateRunFailure { message }
    ... on Error { message }
  }
}
"""
LOCATIONS: Final = """
query Locations {
  workspaceOrError {
    ... on Workspace {
      locationEntries { loadStatus locationOrLoadError { ... on PythonError { message } } }
    }
  }
}
"""
LOGS: Final = """
query Logs($run: ID!, $cursor: String) {
  logsForRun(runId: $run, afterCursor: $cursor) {
    __typename
    ... on EventConnection {
      cursor
      hasMore
      events { ... on MessageEvent { timestamp level message stepKey eventType } }
    }
  }
}
"""


def body(document: str, **variables: object) -> bytes:
    """Return what is posted to ``/graphql``, as ``application/json``."""
    return json.dumps({"query": document, "variables": variables}).encode()


def execution(
    job: str, partition: str, config: Mapping[str, object], tags: Mapping[str, str] | None = None
) -> dict[str, object]:
    """Return the variable ``execution`` of `LAUNCH`.

    Parameters
    ----------
    job : str
        Such as ``call_sell_future_buy_weekly_job``.
    partition : str
        The symbol.
    config : Mapping
        The run's config.
    tags : Mapping of str to str, optional
        Beside the partition's.
    """
    all_tags = {PARTITION_TAG: partition, **(tags or {})}
    return {
        "selector": {**REPOSITORY, "jobName": job},
        "runConfigData": json.dumps(config),
        "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in all_tags.items()]},
    }
