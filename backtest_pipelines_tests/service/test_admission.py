"""Which run may start next: limits and priorities hold, also when many workers ask at once."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from backtest_pipelines.graphql.names import RETRY_NUMBER_TAG
from backtest_pipelines.records.claims import Admission, Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines.service.admission import Claimed, claim_next

LIMITS = {
    "max_concurrent_runs": 4,
    "tag_concurrency_limits": [
        {"key": "single", "limit": 1},
        {"key": "each", "value": {"applyLimitPerUniqueValue": True}, "limit": 1},
    ],
}
# A queued run needs one, and Dagster has no public way to make it.
ORIGIN = RemoteJobOrigin(RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("place"), "repository"), "job")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    coordinator = {"module": "dagster", "class": "QueuedRunCoordinator", "config": LIMITS}
    folder = tmp_path / "dagster"
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder), {"run_coordinator": coordinator}) as opened:
        yield opened


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "records.sqlite") as opened:
        yield opened


def queue(
    instance: dg.DagsterInstance,
    tags: Mapping[str, str] | None = None,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.QUEUED,
) -> str:
    run = dg.DagsterRun(
        job_name="job", run_id=str(uuid4()), status=status, tags=dict(tags or {}), remote_job_origin=ORIGIN
    )
    instance.run_storage.add_run(run)
    return run.run_id


def claim(instance: dg.DagsterInstance, database: Database, owner: str = "me") -> Claimed | None:
    return claim_next(instance, Claims(database), Admission(database), owner)


def claimed(instance: dg.DagsterInstance, database: Database) -> list[str]:
    """Claim until nothing is left that may start."""
    found = []
    while (one := claim(instance, database)) is not None:
        found.append(one.run.run_id)
    return found


def test_the_oldest_comes_first_and_a_higher_priority_before_it(
    instance: dg.DagsterInstance, database: Database
) -> None:
    first, second = queue(instance), queue(instance)
    low = queue(instance, {"dagster/priority": "-1"})
    high = queue(instance, {"dagster/priority": "5"})
    assert claimed(instance, database) == [high, first, second, low]


def test_it_says_whether_others_wait(instance: dg.DagsterInstance, database: Database) -> None:
    queue(instance, {"single": "a"})
    queue(instance, {"single": "b"})
    one = claim(instance, database)
    assert one is not None
    assert one.others_wait
    assert claim(instance, database) is None


def test_no_more_runs_than_the_limit_of_all(instance: dg.DagsterInstance, database: Database) -> None:
    runs = [queue(instance) for _ in range(6)]
    assert claimed(instance, database) == runs[:4]
    Claims(database).release(runs[0], "me")
    instance.delete_run(runs[0])
    assert claimed(instance, database) == [runs[4]]


def test_a_limit_of_each_value_holds_for_each(instance: dg.DagsterInstance, database: Database) -> None:
    first, _, other = queue(instance, {"each": "x"}), queue(instance, {"each": "x"}), queue(instance, {"each": "y"})
    assert claimed(instance, database) == [first, other]


def test_what_the_daemon_moved_on_waits_for_its_limit_too(instance: dg.DagsterInstance, database: Database) -> None:
    first = queue(instance, {"single": "1"})
    moved = queue(instance, {"single": "1"}, dg.DagsterRunStatus.STARTING)
    assert sorted(claimed(instance, database)) in ([first], [moved])


def test_a_retry_waits_before_it_starts(instance: dg.DagsterInstance, database: Database) -> None:
    queue(instance, {RETRY_NUMBER_TAG: "1"})
    assert claim(instance, database) is None


@pytest.mark.parametrize("_round", range(5))
def test_many_that_ask_at_once_pass_no_limit_together(
    instance: dg.DagsterInstance, database: Database, tmp_path: Path, _round: int
) -> None:
    for number in range(6):
        queue(instance, {"single": str(number)})
    free = queue(instance)

    def ask(number: int) -> str | None:
        with Database(tmp_path / "records.sqlite") as own:
            one = claim(instance, own, f"owner {number}")
            return one.run.run_id if one else None

    database.close()
    with ThreadPoolExecutor(8) as pool:
        found = [run_id for run_id in pool.map(ask, range(8)) if run_id]
    assert len(found) == 2
    assert free in found
