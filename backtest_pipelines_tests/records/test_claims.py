from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from backtest_pipelines.records import claims as claims_module
from backtest_pipelines.records.claims import LEASE_S, Admission, Claims
from backtest_pipelines.records.database import Database
from backtest_pipelines_tests.records.racing import PROCESSES, THREADS, race

ROUNDS = 50
LIMIT = 2


@pytest.fixture
def claims(database: Database) -> Claims:
    return Claims(database)


@pytest.fixture
def admission(database: Database) -> Admission:
    return Admission(database)


@pytest.fixture
def admitted(admission: Admission) -> str:
    """Name of an owner that may take claims all the time."""
    assert admission.enter("a", 600)
    return "a"


def grow_stale(database: Database, age_s: float = LEASE_S + 0.1) -> None:
    with database.connection() as connection:
        connection.execute("UPDATE claims SET beat_s = beat_s - ?", age_s)


def stock_take(database: Database, number: int, racer: int) -> bool:
    return Claims(database).take(f"run {number}", f"stock:{racer}")


def take(database: Database, number: int, racer: int) -> bool:
    del racer
    return Claims(database).take(f"run {number}", "a")


def beat_or_give_away(database: Database, number: int, racer: int) -> bool | None:
    claims = Claims(database)
    return claims.give_away(f"run {number}") if racer % 2 else claims.beat(f"run {number}", "a")


def withhold_or_take(database: Database, number: int, racer: int) -> bool:
    return Claims(database).withhold(f"run {number}") if racer % 2 else stock_take(database, number, racer)


def take_within_the_limit(database: Database, number: int, racer: int) -> bool:
    admission, claims, owner = Admission(database), Claims(database), f"racer {racer}"
    lease_s = 0.01 if number % 2 else 3.0
    if not admission.enter(owner, lease_s):
        return False
    is_room = len(claims.held()) < LIMIT
    if number % 4 == 3:
        time.sleep(2 * lease_s)
    is_taken = is_room and claims.take(f"run {number} of {racer}", owner)
    admission.leave(owner)
    return is_taken


def test_of_many_takers_in_threads_and_processes_exactly_one_wins(claims: Claims, location: Path | str) -> None:
    rounds = race([location] * ROUNDS, stock_take)
    for number, won in enumerate(rounds):
        assert (won.count(True), won.count(False)) == (1, PROCESSES * THREADS - 1)
        claim = claims.get(f"run {number}")
        assert claim is not None
        assert claim.owner == f"stock:{won.index(True)}"
    assert len(claims.held()) == ROUNDS


def test_of_many_takers_of_stale_claims_exactly_one_takes_over(
    claims: Claims, admitted: str, database: Database, location: Path | str
) -> None:
    for number in range(ROUNDS):
        assert claims.take(f"run {number}", admitted)
    grow_stale(database)
    rounds = race([location] * ROUNDS, take)
    assert [won.count(True) for won in rounds] == [1] * ROUNDS
    assert {claim.deaths for claim in claims.held().values()} == {1}


def test_a_claim_given_away_is_not_renewed_and_one_renewed_is_not_given_away(
    claims: Claims, admitted: str, database: Database, location: Path | str
) -> None:
    for number in range(ROUNDS):
        assert claims.take(f"run {number}", admitted)
    grow_stale(database)
    outcomes = set()
    for number, done in enumerate(race([location] * ROUNDS, beat_or_give_away)):
        claim = claims.get(f"run {number}")
        assert claim is not None
        is_lost = True in (done[1], done[3])
        assert claim.state == ("lost" if is_lost else "held")
        assert is_lost or (done[0], done[2]) == (False, False)
        outcomes.add(claim.state)
        assert (claims.beat(f"run {number}", "a") is None) == is_lost
    assert outcomes <= {"lost", "held"}


def test_a_run_is_withheld_or_taken_and_never_both(claims: Claims, location: Path | str) -> None:
    for number, done in enumerate(race([location] * ROUNDS, withhold_or_take)):
        taken, withheld = [done[0], done[2]], [done[1], done[3]]
        claim = claims.get(f"run {number}")
        assert claim is not None
        if claim.state == "cancelled":
            assert (taken, withheld) == ([False, False], [True, True])
        else:
            assert claim.state == "held"
            assert (taken.count(True), withheld) == (1, [False, False])


def test_no_more_runs_are_taken_than_the_limit_though_leases_of_the_admission_run_out(
    claims: Claims, location: Path | str
) -> None:
    rounds = race([location] * ROUNDS, take_within_the_limit)
    assert len(claims.held()) == LIMIT
    assert sum(won.count(True) for won in rounds) == LIMIT


def test_only_who_holds_the_admission_takes(claims: Claims, admission: Admission) -> None:
    assert not claims.take("r", "a")
    assert admission.enter("a")
    assert admission.enter("a")
    assert not admission.enter("b")
    assert not claims.take("r", "b")
    assert claims.take("r", "a")
    admission.leave("b")
    assert not admission.enter("b")
    admission.leave("a")
    assert not claims.take("s", "a")
    assert admission.enter("b")


def test_an_admission_ends_by_itself(claims: Claims, admission: Admission) -> None:
    assert admission.enter("a", 0.05)
    time.sleep(0.06)
    assert not claims.take("r", "a")
    assert admission.enter("b")
    admission.leave("a")
    assert claims.take("r", "b")


def test_an_admission_of_the_future_does_not_lock_all_out_when_the_clock_was_set_back(
    admission: Admission, database: Database
) -> None:
    assert admission.enter("a")
    with database.connection() as connection:
        connection.execute("UPDATE admission SET since_s = since_s + 3600, until_s = until_s + 3600")
    assert admission.enter("b")


def test_nobody_is_admitted_while_a_claim_is_being_written_under_an_older_admission(postgres_url: str) -> None:
    with Database(postgres_url) as database:
        admission = Admission(database)
        assert admission.enter("a", 0.2)
        entered: list[float] = []

        def enter() -> None:
            while not admission.enter("b"):
                time.sleep(0.01)
            entered.append(time.monotonic())

        with database.transaction() as connection:
            assert connection.execute(claims_module._TAKE, "r", "a", 0, "a").count == 1
            thread = threading.Thread(target=enter)
            thread.start()
            time.sleep(0.4)
            written = time.monotonic()
        thread.join()
        assert entered[0] >= written
        assert list(Claims(database).held()) == ["r"]


def test_an_owner_hears_of_a_cancel_with_its_next_beat(claims: Claims, admitted: str) -> None:
    claims.request_cancel("r")
    assert claims.get("r") is None
    claims.take("r", admitted)
    assert claims.beat("r", admitted) is False
    claims.request_cancel("r")
    assert claims.beat("r", admitted) is True
    assert claims.beat("r", "b") is None


def test_a_stale_claim_is_taken_over_and_its_old_owner_changes_nothing(
    claims: Claims, admission: Admission, admitted: str, database: Database
) -> None:
    claims.take("r", admitted)
    claims.request_cancel("r")
    assert not claims.take("r", "stock:1")
    assert not claims.take("r", admitted)
    grow_stale(database)
    admission.leave(admitted)
    assert admission.enter("b")
    assert claims.take("r", "b")
    assert claims.beat("r", admitted) is None
    claims.release("r", admitted)
    claim = claims.get("r")
    assert claim is not None
    assert (claim.owner, claim.state, claim.deaths, claim.cancel_requested) == ("b", "held", 1, True)
    assert 0 <= claim.held_s < LEASE_S
    assert 0 <= claim.beat_age_s < LEASE_S


def test_a_beat_from_the_future_is_stale(claims: Claims, admitted: str, database: Database) -> None:
    claims.take("r", admitted)
    grow_stale(database, -3600)
    assert claims.take("r", "stock:1")


def test_what_dagsters_own_launcher_took_is_never_stale(claims: Claims, admitted: str, database: Database) -> None:
    claims.take("r", "stock:1")
    grow_stale(database)
    assert not claims.take("r", admitted)
    assert not claims.give_away("r")
    assert not claims.withhold("r")
    claims.release("r", "stock:1")
    assert claims.held() == {}


def test_a_beat_keeps_a_claim(claims: Claims, admitted: str, database: Database) -> None:
    claims.take("r", admitted)
    grow_stale(database)
    assert claims.beat("r", admitted) is False
    assert not claims.give_away("r")
    assert not claims.take("r", admitted)


def test_a_lost_claim_is_lost_for_ever(claims: Claims, admitted: str, database: Database) -> None:
    assert not claims.give_away("r")
    claims.take("r", admitted)
    assert not claims.give_away("r")
    grow_stale(database)
    assert claims.give_away("r")
    assert claims.give_away("r")
    assert claims.beat("r", admitted) is None
    assert not claims.take("r", admitted)
    assert not claims.withhold("r")
    claims.release("r", admitted)
    claim = claims.get("r")
    assert claim is not None
    assert claim.state == "lost"
    assert claims.held() == {}


def test_a_withheld_run_is_never_taken_and_a_held_one_not_withheld_before_it_is_stale(
    claims: Claims, admitted: str, database: Database
) -> None:
    assert claims.withhold("r")
    assert claims.withhold("r")
    assert not claims.take("r", admitted)
    claims.take("s", admitted)
    assert not claims.withhold("s")
    grow_stale(database)
    assert not claims.take("r", admitted)
    assert claims.withhold("s")
    assert claims.beat("s", admitted) is None


def test_a_released_claim_is_done(claims: Claims, admitted: str, database: Database) -> None:
    claims.take("r", admitted)
    claims.release("r", admitted)
    grow_stale(database)
    claim = claims.get("r")
    assert claim is not None
    assert claim.state == "done"
    assert not claims.take("r", admitted)
    assert not claims.withhold("r")
    assert not claims.give_away("r")


def test_claims_are_deleted_that_gave_no_sign_of_life_for_long(
    claims: Claims, database: Database, admitted: str
) -> None:
    claims.take("done", "stock:1")
    claims.release("done", "stock:1")
    claims.withhold("cancelled")
    claims.take("left behind", "stock:1")
    claims.take("alive", admitted)
    assert claims.prune(60) == 0
    grow_stale(database, 61)
    claims.beat("alive", admitted)
    claims.withhold("young")
    assert claims.prune(60) == 3
    assert [claims.get(run_id) for run_id in ("done", "cancelled", "left behind")] == [None] * 3
    assert claims.get("young") is not None
    assert list(claims.held()) == ["alive"]
