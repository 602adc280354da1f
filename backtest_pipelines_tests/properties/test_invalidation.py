"""Whatever is kept, looked up, invalidated, killed and started in any order: nothing that was invalidated is served."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.results.files import AnswerFiles
from backtest_pipelines.results.redis_cache import RedisCache
from backtest_pipelines.results.store import STAMP_AGE_S, AnswerStore
from backtest_pipelines_tests.results.samples import Clock, MemoryStamps, fingerprint, value
from backtest_pipelines_tests.servers import ValkeyServer

PLACES = [(variant, symbol) for variant in ("one", "two") for symbol in ("NIFTY", "BANKNIFTY")]
QUESTIONS = [(fingerprint(number), *place) for number, place in enumerate(PLACES)]
VALUES = {question: value(number) for number, question in enumerate(QUESTIONS)}

processes = st.integers(0, 1)
questions = st.sampled_from(QUESTIONS)


class Invalidation(RuleBasedStateMachine):
    """Two processes share files, stamps and a Redis that keeps its values over a restart."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="bti-"))
        self.clock, self.stamps = Clock(), MemoryStamps()
        self.server = ValkeyServer().start(appendonly="yes", appendfsync="always")
        self.is_up = True
        self.kept_s: dict[tuple[str, str, str], float] = {}
        self.stores = [
            AnswerStore(AnswerFiles(self.folder), self.stamps, RedisCache(self.server.settings, self.clock), self.clock)
            for _ in range(2)
        ]

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self.server.__exit__()
        shutil.rmtree(self.folder)

    @rule(process=processes, question=questions)
    def keep(self, process: int, question: tuple[str, str, str]) -> None:
        self.stamps.now += 1
        self.kept_s[question] = self.stores[process].keep(*question, VALUES[question])

    @rule(process=processes, question=questions)
    def look_up(self, process: int, question: tuple[str, str, str]) -> None:
        found = self.stores[process].look_up(*question)
        if found is None:
            assert self.kept_s.get(question, 0.0) <= self.stamps.before_s(*question[1:]), "a valid answer is a miss"
            return
        assert found.bytes == VALUES[question]
        assert found.kept_s > self.stamps.before_s(*question[1:]), "an invalidated answer was served"
        # As a door does: what it made of the answer is kept, perhaps much later.
        self.stores[process].keep_rendering(*question, "json", repr(found.kept_s).encode(), kept_s=found.kept_s)

    @rule(process=processes, question=questions)
    def look_up_rendering(self, process: int, question: tuple[str, str, str]) -> None:
        (rendering,) = self.stores[process].look_up_renderings([question], "json")
        if rendering is not None:
            assert float(rendering) > self.stamps.before_s(*question[1:]), "an invalidated rendering was served"

    @rule(process=processes, question=questions)
    def keep_a_rendering_late(self, process: int, question: tuple[str, str, str]) -> None:
        if question in self.kept_s:
            kept_s = self.kept_s[question]
            self.stores[process].keep_rendering(*question, "json", repr(kept_s).encode(), kept_s=kept_s)

    @rule(process=processes, variant=st.sampled_from([None, "one", "two"]))
    def invalidate(self, process: int, variant: str | None) -> None:
        self.stamps.now += 1
        for place in PLACES:
            if variant in (None, place[0]):
                self.stamps.stamp(*place)
        try:
            self.stores[process].purge(variant)
        except UnavailableError:
            # The process that invalidated knows it at once, any other one after that time at the latest.
            self.clock.now += STAMP_AGE_S + 0.01

    @precondition(lambda self: self.is_up)
    @rule()
    def kill(self) -> None:
        self.server.kill()
        self.is_up = False

    @precondition(lambda self: not self.is_up)
    @rule()
    def start(self) -> None:
        self.server.start(appendonly="yes", appendfsync="always")
        self.is_up = True
        self.clock.now += 1  # the breakers let the next one try

    @invariant()
    def every_answer_given_once_can_be_read(self) -> None:
        for question in self.kept_s:
            assert self.stores[0].read(question[0]) == VALUES[question]


TestInvalidation = Invalidation.TestCase
TestInvalidation.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
