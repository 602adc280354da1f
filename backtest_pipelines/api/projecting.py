"""Puts on record what Dagster ran and what recorded nothing itself: runs that were cancelled, or lost their process.

A run that gets as far as its question records it. Those that end before are found here, by when they were changed last:
whoever launched them, by the UI, a schedule, GraphQL, or as a retry, each counts once for each variant and symbol.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from backtest_pipelines.api.ending import how_it_failed
from backtest_pipelines.api.job_views import CANCELLED, UNSAID, run_failures
from backtest_pipelines.api.services import Services
from backtest_pipelines.api.trouble import Trouble, again_and_again
from backtest_pipelines.canonical import canonical_json
from backtest_pipelines.graphql import documents, replies
from backtest_pipelines.graphql.names import (
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    RETRY_NUMBER_TAG,
    answers_job,
)
from backtest_pipelines.graphql.replies import EndedRun, RunFailure
from backtest_pipelines.market.symbols import SYMBOLS
from backtest_pipelines.records.cursors import ENDED_RUNS, ENDED_RUNS_OVERLAP_S
from backtest_pipelines.records.executions import AlreadyRecordedError, Execution
from backtest_pipelines.strategies import catalogue

logger = logging.getLogger(__name__)

EACH_S: Final = 3.0
PAGE: Final = 100
LATE_S: Final = 30.0
"""Without having read all runs for so long, it is not well."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of a run.

    Attributes
    ----------
    variant, symbol : str
    """

    variant: str
    symbol: str


class Projection:
    """Looks after the executions of runs that recorded none.

    Parameters
    ----------
    services : Services
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._trouble = Trouble(logger, "Dagster's runs cannot be read just now", "Dagster's runs are read again")
        self._read_s: float | None = None

    @property
    def is_well(self) -> bool:
        """Whether it has read Dagster's runs lately."""
        return self._read_s is not None and time.monotonic() - self._read_s < LATE_S

    async def look_after(self) -> None:
        """Read on, every few seconds."""
        await again_and_again(self._read, self._trouble, lambda _: EACH_S)

    async def read_on(self) -> None:
        """Record what has ended since the last time.

        Raises
        ------
        UnavailableError
            If the web server or the database does not answer; the next time begins at the same place.
        """
        services = self._services
        cursor: str | None = await services.call(services.cursors.get, ENDED_RUNS)
        read_to = float(cursor or 0)
        furthest, page_after = read_to, None
        while True:
            reply = await services.web.ask(
                documents.ENDED_RUNS, after=max(0.0, read_to - ENDED_RUNS_OVERLAP_S), limit=PAGE, cursor=page_after
            )
            runs = replies.ended_runs(reply)
            # A job is put on record when it has ended.
            await self._record([run for run in runs if not answers_job(run.state.tags)])
            furthest = max([furthest, *(run.updated_at_s for run in runs)])
            if len(runs) < PAGE:
                break
            page_after = runs[-1].state.run_id
        if cursor is None or furthest > read_to:  # that there is one says that runs are read: see the pruning of runs
            await services.call(services.cursors.put, ENDED_RUNS, repr(furthest))

    async def _read(self) -> str:
        await self.read_on()
        self._read_s = time.monotonic()
        return ""

    async def _record(self, runs: Sequence[EndedRun]) -> None:
        missing = {run.state.run_id: await self._services.call(self._missing, run) for run in runs}
        runs = [run for run in runs if missing[run.state.run_id]]
        failed = [run.state.run_id for run in runs if run.state.status == "FAILURE"]
        failures = await run_failures(self._services, failed)
        for run in runs:
            failure = CANCELLED if run.state.status == "CANCELED" else failures.get(run.state.run_id, UNSAID)
            rows = [_row(run, asked, failure) for asked in missing[run.state.run_id]]
            await self._services.call(self._insert, rows)

    def _missing(self, run: EndedRun) -> list[Asked]:
        recorded = {(row.variant, row.symbol) for row in self._services.executions.of_run(run.state.run_id)}
        return [asked for asked in _asked(run) if (asked.variant, asked.symbol) not in recorded]

    def _insert(self, rows: Sequence[Execution]) -> None:
        for row in rows:
            try:
                self._services.executions.insert(row, run_has_ended=True)
            except AlreadyRecordedError:  # another server was faster
                continue


def _asked(run: EndedRun) -> list[Asked]:
    assets = set(run.assets) or {run.job.removesuffix("_job")}
    variants = [variant.name for variant in catalogue.variants() if variant.name in assets]
    return [Asked(variant, symbol) for variant in variants for symbol in _symbols(run.state.tags)]


def _symbols(tags: Mapping[str, str]) -> Sequence[str]:
    """Return the symbols of a run: of one partition, or of a range of them."""
    symbol = tags.get(PARTITION_TAG)
    first = tags.get(RANGE_START_TAG, symbol)
    last = tags.get(RANGE_END_TAG, symbol)
    if first not in SYMBOLS or last not in SYMBOLS:
        return ()
    return SYMBOLS[SYMBOLS.index(first) : SYMBOLS.index(last) + 1]


def _row(run: EndedRun, asked: Asked, failure: RunFailure) -> Execution:
    config: Any = run.config.get("ops", {}).get(asked.variant, {}).get("config", {})
    parameters = catalogue.variant(asked.variant).parameters
    named = {parameter.name: config[parameter.name] for parameter in parameters if parameter.name in config}
    rest = {name: value for name, value in config.items() if name not in named}
    return Execution(
        variant=asked.variant,
        parameters=canonical_json({**rest, "parameters": named}),
        symbol=asked.symbol,
        door="dagster",
        **how_it_failed(failure, run.state, asked_at_s=run.state.created_at_s),
        attempt=int(run.state.tags.get(RETRY_NUMBER_TAG, "0")) + 1,
        run_id=run.state.run_id,
    )
