"""What this package and Dagster call the same things: the code location, the tags of runs, their last statuses."""

from collections.abc import Mapping
from typing import Final

LOCATION: Final = "backtest_pipelines"
"""Name of the code location: Dagster keeps the state of sensors and schedules under it."""
REPOSITORY: Final = {"repositoryLocationName": LOCATION, "repositoryName": "__repository__"}

JOB_ID_TAG: Final = "backtest/job_id"
"""Tag of a run that was launched for a job of the REST API; retries carry it too."""
PARENT_RUN_TAG: Final = "dagster/parent_run_id"
PARTITION_TAG: Final = "dagster/partition"
RANGE_START_TAG: Final = "dagster/asset_partition_range_start"
RANGE_END_TAG: Final = "dagster/asset_partition_range_end"
WILL_RETRY_TAG: Final = "dagster/will_retry"
RETRY_NUMBER_TAG: Final = "dagster/retry_number"

ENDED: Final = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
"""Statuses of a run that changes no more."""

ERROR_WORDS: Final = (
    "BadRequestError",
    "BadDataError",
    "MissingDataError",
    "UnavailableError",
    "BugError",
    "TimeLimitError",
    "OutOfMemoryError",
    "WorkerLostError",
)
"""The words for what made a run fail."""


def answers_job(tags: Mapping[str, str]) -> bool:
    """Say whether a run with these tags is one of a job: its first, or a retry.

    A user's own re-execution takes the job's tag over, and answers for itself.
    """
    return JOB_ID_TAG in tags and (PARENT_RUN_TAG not in tags or RETRY_NUMBER_TAG in tags)
