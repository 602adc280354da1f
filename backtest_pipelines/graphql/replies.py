"""What the replies of Dagster's web server mean."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from backtest_pipelines.errors import BugError, UnavailableError
from backtest_pipelines.graphql.names import ENDED, ERROR_WORDS, RETRY_NUMBER_TAG, WILL_RETRY_TAG


@dataclass(frozen=True, slots=True)
class RunState:
    """Where a run is.

    Attributes
    ----------
    run_id : str
    status : str
        Dagster's word, such as STARTED.
    created_at_s, started_at_s, ended_at_s : float or None
        Seconds since 1970; the creation is always known.
    tags : Mapping of str to str
    """

    run_id: str
    status: str
    created_at_s: float
    started_at_s: float | None
    ended_at_s: float | None
    tags: Mapping[str, str]

    @property
    def has_ended(self) -> bool:
        """Whether the run changes no more."""
        return self.status in ENDED

    @property
    def will_retry(self) -> bool:
        """Whether the run failed and Dagster will try it again under another id."""
        return self.status == "FAILURE" and self.tags.get(WILL_RETRY_TAG) == "true"

    @property
    def attempts(self) -> int:
        """How often the work was begun: in this run, and in those that it is a retry of."""
        return int(self.tags.get(RETRY_NUMBER_TAG, "0")) + (self.started_at_s is not None)


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended, and what it was for.

    Attributes
    ----------
    state : RunState
    job : str
        Such as ``call_sell_future_buy_weekly_job``.
    assets : tuple of str
        Those selected; empty where the job says it.
    config : Mapping
    updated_at_s : float
        When it changed last, in seconds since 1970.
    """

    state: RunState
    job: str
    assets: tuple[str, ...]
    config: Mapping[str, Any]
    updated_at_s: float


@dataclass(frozen=True, slots=True)
class RunFailure:
    """Why a run failed.

    Attributes
    ----------
    type : str
        The class of the error, or one of `ERROR_WORDS`.
    message : str
    """

    type: str
    message: str


@dataclass(frozen=True, slots=True)
class LogLine:
    """One event of a run's log.

    Attributes
    ----------
    at : datetime
        In UTC.
    level : str
        Such as INFO.
    message : str
        Of an event without words its kind, such as PIPELINE_ENQUEUED.
    step : str or None
    """

    at: datetime
    level: str
    message: str
    step: str | None


@dataclass(frozen=True, slots=True)
class LogPage:
    """Events of a run after a cursor.

    Attributes
    ----------
    lines : tuple of LogLine
    cursor : str
        Where the next page begins.
    has_more : bool
        Whether there are more just now.
    """

    lines: tuple[LogLine, ...]
    cursor: str
    has_more: bool


def data(reply: bytes | str) -> dict[str, Any]:
    """Return the data of a reply.

    Raises
    ------
    UnavailableError
        If this is no reply of a GraphQL server, or the server failed on the way to its answer.
    BugError
        If the server refuses the document.
    """
    try:
        answer = json.loads(reply)
    except ValueError:
        msg = f"the web server's reply is no GraphQL: {reply[:200]!r}"
        raise UnavailableError(msg) from None
    for error in answer.get("errors", ()):
        # An error with a path is one of the server's own, such as a store that is locked.
        kind = UnavailableError if error.get("path") else BugError
        msg = f"GraphQL: {error['message']}"
        raise kind(msg)
    found: dict[str, Any] = answer["data"]
    return found


def launched(reply: Mapping[str, Any]) -> str:
    """Return the id of the run that `LAUNCH` launched.

    Raises
    ------
    BugError
        If Dagster refuses the config.
    UnavailableError
        If it cannot launch just now: the code is not loaded, or the queue did not take the run.
    """
    result = reply["launchRun"]
    if result["__typename"] == "LaunchRunSuccess":
        return str(result["run"]["runId"])
    if result["__typename"] == "RunConfigValidationInvalid":
        msg = f"Dagster refuses the config: {'; '.join(error['message'] for error in result['errors'])}"
        raise BugError(msg)
    msg = f"Dagster did not launch: {result['__typename']}: {result.get('message', '')}"
    raise UnavailableError(msg)


def run_state(reply: Mapping[str, Any]) -> RunState | None:
    """Return what `RUN` found, or None when there is no such run."""
    found = reply["runOrError"]
    return _run_state(found) if found["__typename"] == "Run" else None


def run_states(reply: Mapping[str, Any]) -> dict[str, RunState]:
    """Return what `RUNS` found, by run id."""
    return {found["runId"]: _run_state(found) for found in _results(reply)}


def ended_runs(reply: Mapping[str, Any]) -> list[EndedRun]:
    """Return what `ENDED_RUNS` found."""
    return [
        EndedRun(
            _run_state(found),
            found["jobName"],
            tuple("/".join(asset["path"]) for asset in found["assetSelection"] or ()),
            found["runConfig"] or {},
            found["updateTime"] or found["creationTime"],
        )
        for found in _results(reply)
    ]


def failures(reply: Mapping[str, Any]) -> dict[str, RunFailure]:
    """Return why the runs of `FAILURES` failed, by run id; a run without a failure is left out.

    A step's failure says more than the run's, and the last attempt of a step counts.
    """
    found = {}
    for run in _results(reply):
        events = run["eventConnection"]["events"]
        for kind in ("ExecutionStepFailureEvent", "RunFailureEvent"):
            if of_kind := [event for event in events if event["__typename"] == kind]:
                found[run["runId"]] = _failure(of_kind[-1])
                break
    return found


def metadata(reply: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers and texts of the last materialization that `METADATA` found, by their labels."""
    return {
        entry["label"]: next((value for key, value in entry.items() if key != "label"), None)
        for materialization in reply["runOrError"]["assetMaterializations"][-1:]
        for entry in materialization["metadataEntries"]
    }


def refusal(reply: Mapping[str, Any]) -> str | None:
    """Return why `TERMINATE` did not terminate the run, or None when it did."""
    result = reply["terminateRun"]
    return None if result["__typename"] == "TerminateRunSuccess" else str(result.get("message", result["__typename"]))


def locations_are_loaded(reply: Mapping[str, Any]) -> bool:
    """Return whether `LOCATIONS` found the definitions loaded.

    Raises
    ------
    BugError
        If they cannot be loaded.
    """
    entries = reply["workspaceOrError"].get("locationEntries", [])
    for entry in entries:
        if message := (entry["locationOrLoadError"] or {}).get("message"):
            msg = f"the definitions cannot be loaded: {message}"
            raise BugError(msg)
    return bool(entries) and all(entry["loadStatus"] == "LOADED" for entry in entries)


def log_page(reply: Mapping[str, Any]) -> LogPage | None:
    """Return what `LOGS` found, or None when there is no such run."""
    found = reply["logsForRun"]
    if found["__typename"] != "EventConnection":
        return None
    lines = tuple(
        LogLine(
            datetime.fromtimestamp(int(event["timestamp"]) / 1000, UTC),
            event["level"],
            event["message"] or event["eventType"] or "",
            event["stepKey"],
        )
        for event in found["events"]
    )
    return LogPage(lines, found["cursor"], found["hasMore"])


def _run_state(found: Mapping[str, Any]) -> RunState:
    # Dagster gives a run that ended before it started its end as its start.
    never_started = found["startTime"] == found["endTime"]
    return RunState(
        found["runId"],
        found["status"],
        found["creationTime"],
        None if never_started else found["startTime"],
        found["endTime"],
        {tag["key"]: tag["value"] for tag in found["tags"]},
    )


def _results(reply: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found = reply["runsOrError"]
    if "results" not in found:
        msg = f"Dagster cannot list its runs: {found.get('message', '')}"
        raise UnavailableError(msg)
    results: Sequence[Mapping[str, Any]] = found["results"]
    return results


def _failure(event: Mapping[str, Any]) -> RunFailure:
    metadata = event.get("failureMetadata") or {}
    error = (event.get("error") or {}).get("message", "")
    text = (metadata.get("description") or error or event["message"]).strip()
    named = {entry["label"]: entry.get("text") for entry in metadata.get("metadataEntries", ())}.get("error_type")
    kind = named or _word(text) or _word(event["message"]) or "BugError"
    return RunFailure(kind, text.removeprefix(f"{kind}: "))


def _word(text: str) -> str | None:
    found = re.search(rf"\b({'|'.join(ERROR_WORDS)})\b", text)
    return found[1] if found else None
