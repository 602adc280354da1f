"""Print what a look-up costs with Redis up and paused, and how long upkeep takes. Takes half a minute."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from backtest_pipelines.executions.cache import CacheControl
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.invalidations import Invalidations
from backtest_pipelines.results.codec import encode
from backtest_pipelines.results.files import AnswerFiles
from backtest_pipelines.results.redis_cache import RedisCache, RedisSettings, key
from backtest_pipelines.results.sealed import seal
from backtest_pipelines.results.store import AnswerStore
from backtest_pipelines_tests.results.samples import SYMBOL, VARIANT, answer, fingerprint, value
from backtest_pipelines_tests.servers import ValkeyServer

PLACE = (fingerprint(0), VARIANT, SYMBOL)
RENDERING = os.urandom(15_000)
LARGE = 105_000
ENTRIES = 100_000
CALLERS = 8
PAUSE_S = 4.0


def main() -> None:
    """Run everything and print one table."""
    table = Table(title=f"Python {platform.python_version()}, {os.cpu_count()} cores", title_justify="left")
    for heading in ("figure", "p50", "p99", "largest", "to reach"):
        table.add_column(heading, justify="left" if heading == "figure" else "right")
    with tempfile.TemporaryDirectory() as folder, ValkeyServer() as server, Database(Path(folder) / "e.sqlite") as db:
        server.start()
        invalidations = Invalidations(db)
        settings = replace(server.settings, timeout_s=RedisSettings().timeout_s)
        cache = RedisCache(settings)
        store = AnswerStore(AnswerFiles(Path(folder)), invalidations, cache)
        kept_s = store.keep(*PLACE, _large_answer())
        store.keep_rendering(*PLACE, "json", RENDERING, kept_s=kept_s)
        plain = AnswerStore(store.files, invalidations)
        _add(
            table,
            "a rendering of 15 kB from Redis",
            _times(lambda: store.look_up_renderings([PLACE], "json")),
            "p50 0.15 ms",
        )
        _add(table, "an answer of 105 kB from Redis, verified", _times(lambda: store.look_up(*PLACE)), "")
        _add(table, "the same from its file", _times(lambda: plain.look_up(*PLACE)), "")
        _add(table, "a stamp from SQLite", _times(lambda: invalidations.before_s(VARIANT, SYMBOL)), "")
        _paused(table, server, settings, store, plain)
        _upkeep(table, server, CacheControl(store, invalidations, db))
        store.close()
    Console(width=110).print(table)


def _large_answer() -> bytes:
    return encode(replace(answer(), pivot={"filling": "x" * (LARGE - len(value()))}))


def _paused(
    table: Table, server: ValkeyServer, settings: RedisSettings, store: AnswerStore, plain: AnswerStore
) -> None:
    """Look-ups of several callers around the moment at which Redis is stopped, beside the same without Redis."""
    store.look_up(*PLACE)
    without = _concurrently(lambda: plain.look_up(*PLACE))
    server.pause()
    paused = _concurrently(lambda: store.look_up(*PLACE))
    cold = AnswerStore(store.files, plain._stamps, RedisCache(settings))
    first = _times(lambda: cold.look_up(*PLACE), 5)
    server.resume()
    cold.close()
    _add(table, f"{CALLERS} callers without Redis", without, "")
    _add(table, f"{CALLERS} callers, Redis paused at their start", paused, "")
    added_ms = (_p99(paused) - _p99(without)) * 1000
    table.add_row("added p99 while Redis is paused", "", f"{added_ms:.2f} ms", "", "25 ms")
    _add(table, "the first five look-ups of a process, Redis paused", first, "")


def _concurrently(ask: Callable[[], object]) -> list[float]:
    times: list[float] = []
    end = time.monotonic() + PAUSE_S

    def run() -> None:
        while time.monotonic() < end:
            times.append(_timed(ask))

    threads = [threading.Thread(target=run) for _ in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _upkeep(table: Table, server: ValkeyServer, control: CacheControl) -> None:
    """Many entries are counted and invalidated, while another client asks."""
    with server.client() as client:
        for first in range(0, ENTRIES, 1000):
            pipeline = client.pipeline(transaction=False)
            for number in range(first, first + 1000):
                name = key(fingerprint(number), VARIANT, SYMBOL)
                pipeline.set(name, seal(name, time.time(), b"small"), ex=3600)
            pipeline.execute()
        for figure, work in (
            (f"counting {ENTRIES:,} entries", control.stats),
            (f"invalidating {ENTRIES:,} entries", control.invalidate),
        ):
            seconds, pings = _beside(work, client.ping)
            table.add_row(figure, f"{seconds:.2f} s", "", "", "")
            _add(table, "a PING of another client meanwhile", pings, "")


def _beside(work: Callable[[], object], ask: Callable[[], object]) -> tuple[float, list[float]]:
    times: list[float] = []
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(0.001):
            times.append(_timed(ask))

    thread = threading.Thread(target=run)
    thread.start()
    seconds = _timed(work)
    ended.set()
    thread.join()
    return seconds, times


def _add(table: Table, figure: str, times: list[float], goal: str) -> None:
    cells = (f"{each * 1000:.3f} ms" for each in (statistics.median(times), _p99(times), max(times)))
    table.add_row(figure, *cells, goal)


def _p99(times: list[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def _times(work: Callable[[], object], times: int = 5000) -> list[float]:
    return [_timed(work) for _ in range(times)]


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
