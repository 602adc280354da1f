from __future__ import annotations

import threading

from backtest_pipelines.results.breaker import FAILURES, PROBE_S, Breaker
from backtest_pipelines_tests.results.samples import Clock


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(clock)
    outcomes = [breaker.failed(entered(breaker)) for _ in range(FAILURES)]
    assert outcomes == [False, False, True]
    return breaker


def entered(breaker: Breaker) -> int:
    state = breaker.enter()
    assert state is not None
    return state


def test_it_opens_after_three_failures_in_a_row_and_no_sooner() -> None:
    breaker = Breaker(Clock())
    for _ in range(5):
        assert not breaker.failed(entered(breaker))
        assert not breaker.failed(entered(breaker))
        assert not breaker.succeeded(entered(breaker))
    assert [breaker.failed(entered(breaker)) for _ in range(3)] == [False, False, True]
    assert breaker.enter() is None


def test_while_it_is_open_one_caller_a_second_tries() -> None:
    clock = Clock()
    breaker = opened(clock)
    for _ in range(5):
        clock.now += PROBE_S - 0.01
        assert breaker.enter() is None
        clock.now += 0.01
        state = entered(breaker)
        assert breaker.enter() is None
        assert not breaker.failed(state)


def test_of_many_threads_one_tries() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += PROBE_S
    states: list[int | None] = []
    barrier = threading.Barrier(8)

    def enter() -> None:
        barrier.wait()
        states.append(breaker.enter())

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(state is not None for state in states) == 1


def test_the_first_success_closes_it_and_three_new_failures_open_it_again() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += PROBE_S
    assert breaker.succeeded(entered(breaker))
    assert not breaker.succeeded(entered(breaker))
    assert [breaker.failed(entered(breaker)) for _ in range(3)] == [False, False, True]


def test_late_news_of_an_earlier_state_change_nothing() -> None:
    clock = Clock()
    breaker = Breaker(clock)
    early = [entered(breaker) for _ in range(FAILURES + 2)]
    assert [breaker.failed(state) for state in early] == [False, False, True, False, False]
    assert not breaker.succeeded(early[0])
    assert breaker.enter() is None
    clock.now += PROBE_S
    assert breaker.succeeded(entered(breaker))
    for state in early:
        assert not breaker.failed(state)
    assert breaker.enter() is not None
