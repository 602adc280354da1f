"""Tells Dagster of answers that the API computed itself, so that its UI shows and plots them as those of runs.

Each report takes place in Dagster's tables. So of answers that come faster than they are reported only the latest one
of each variant and symbol is, and it says how many came between; all are on record as executions.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from backtest_pipelines.api.web_server import NoAnswerError, WebServer
from backtest_pipelines.errors import BacktestError

if TYPE_CHECKING:
    from backtest_pipelines.executions.summary import Value

logger = logging.getLogger(__name__)

EACH_S: Final = 5.0
"""Between two reports, at the least: with SQLite each takes 8 kB."""
TRIES: Final = 5
"""Of one report that Dagster fails to put on record; a web server that does not answer is waited for."""
LONGEST_PAUSE_S: Final = 30.0
MOST_DOUBLINGS: Final = 10
FINISH_S: Final = 1.0
MOST_WAITING: Final = 100
"""Pairs of variant and symbol: more than there are."""


@dataclass(slots=True)
class _Report:
    """An answer to report.

    Attributes
    ----------
    variant, symbol, fingerprint : str
    metadata : Mapping of str to Value
    skipped : int
        Answers of the variant on the symbol since the last report, which this one stands for.
    tries : int
        How often Dagster failed to put it on record.
    """

    variant: str
    symbol: str
    fingerprint: str
    metadata: Mapping[str, Value]
    skipped: int = 0
    tries: int = 0

    def content(self) -> dict[str, object]:
        description = "Computed by the API, without a run."
        if self.skipped:
            description += f" {self.skipped} answers before it are not reported one by one."
        return {
            "asset_key": [self.variant],
            "partition": self.symbol,
            "data_version": self.fingerprint,
            "description": description,
            "metadata": dict(self.metadata),
        }


class Reports:
    """What is to be reported, at most one answer of each variant and symbol.

    Parameters
    ----------
    web : WebServer
    each_s : float
        Seconds from one report to the next.

    Attributes
    ----------
    sent, skipped, given_up : int
        Reports that arrived; answers that a later one stood for; reports that were refused, or failed too often.
    """

    def __init__(self, web: WebServer, each_s: float = EACH_S) -> None:
        self.sent = self.skipped = self.given_up = 0
        self._web = web
        self._each_s = each_s
        self._lock = threading.Lock()
        self._waiting: dict[tuple[str, str], _Report] = {}

    def put(self, variant: str, symbol: str, fingerprint: str, metadata: Mapping[str, Value]) -> None:
        """Have an answer reported that was just computed; returns at once. May be called from any thread.

        Parameters
        ----------
        variant, symbol, fingerprint : str
        metadata : Mapping of str to str, int, float, bool or None
            As `backtest_pipelines.executions.summary.summary` returns it.
        """
        report = _Report(variant, symbol, fingerprint, metadata)
        place = (variant, symbol)
        with self._lock:
            if earlier := self._waiting.get(place):
                report.skipped = earlier.skipped + 1
                self.skipped += 1
            elif len(self._waiting) >= MOST_WAITING:
                self._give_up(report, "too many wait")
                return
            self._waiting[place] = report

    async def look_after(self) -> None:
        """Send what waits, one report every few seconds; where the web server fails, after longer and longer pauses."""
        failures = 0
        while True:
            await asyncio.sleep(min(self._each_s * 2**failures, LONGEST_PAUSE_S))
            try:
                failures = 0 if await self.send_next() else min(failures + 1, MOST_DOUBLINGS)
            except Exception:
                logger.exception("a bug in reporting answers to Dagster; it goes on")

    async def finish(self) -> None:
        """Send what still waits, as far as that goes in a moment; the answers themselves are on record."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_S):
                while self._waiting and await self.send_next():
                    pass
        if self._waiting:
            logger.warning("%d answers that the API computed are not shown by Dagster's UI", len(self._waiting))

    async def send_next(self) -> bool:
        """Send the report that waits longest, if there is one; return False where it must wait on."""
        with self._lock:
            if not self._waiting:
                return True
            report = self._waiting.pop(next(iter(self._waiting)))
        try:
            await self._web.report_materialization(report.content())
        except BacktestError as error:
            report.tries += not isinstance(error, NoAnswerError)
            if not error.retry_can_help or report.tries >= TRIES:
                self._give_up(report, str(error))
                return True
            self._put_back(report)
            return False
        except asyncio.CancelledError:
            self._put_back(report)
            raise
        self.sent += 1
        return True

    def _put_back(self, report: _Report) -> None:
        """Let a report that failed wait again, or the newer one that came meanwhile stand for it."""
        place = (report.variant, report.symbol)
        with self._lock:
            if newer := self._waiting.get(place):
                newer.skipped += report.skipped + 1
                self.skipped += 1
            else:
                self._waiting[place] = report

    def _give_up(self, report: _Report, reason: str) -> None:
        self.given_up += 1
        if self.given_up == 1:
            logger.warning(
                "Dagster's UI does not show the answer of %s on %s that the API computed, nor others of which nothing "
                "is said any more: %s",
                report.variant,
                report.symbol,
                reason,
            )
