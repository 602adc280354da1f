"""What a hit is made of: each layer's own time, measured alone in this process, and what is left for the rest."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backtest_pipelines.api.bodies import checked
from backtest_pipelines.api.execute_request import ExecuteBody
from backtest_pipelines.executions.answering import name
from backtest_pipelines.executions.rendering import kept_renderings
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.executions.workspace import Workspace
from backtest_pipelines.records.executions import Execution
from backtest_pipelines.service.supervisor.state import read_state

TIMES = 1000


def layers_ms(
    home: Path, question: Mapping[str, Any], *, hit: float, health: float, bare: float
) -> list[tuple[str, float]]:
    """Return the layers of a hit that one caller waits for, and the medians of their times in ms.

    Parameters
    ----------
    home : Path
        Of a running service, which answered the question before.
    question : Mapping
        Body of the request.
    hit, health, bare : float
        Medians in ms of a hit, of `/health`, and of the bare server's answer.
    """
    state = read_state(home)
    assert state is not None
    assert state.redis_url is not None
    environ = {"REDIS_URL": state.redis_url, "BACKTEST_CACHE_TIMEOUT_MS": "5000"}
    with Workspace(settings_from(environ, home=home)) as workspace:
        asked = ExecuteBody.model_validate(question).request()
        named = name(asked.question(), workspace)
        assert kept_renderings([named.place], workspace)
        row = Execution(
            variant=asked.variant,
            parameters="{}",
            symbol=asked.symbol,
            door="rest",
            started_at=datetime.now(UTC),
            duration_ms=1.0,
            outcome="completed",
            row_count=50,
        )
        layers = [
            ("bytes in and out, as a bare server", bare),
            ("guard, login, routing", max(0.0, health - bare)),
            (
                "body read, question checked",
                _median_ms(lambda: checked(ExecuteBody, dict(question)).request().question()),
            ),
            ("identity of the answer", _median_ms(lambda: name(named.question, workspace))),
            ("the answer from Redis, verified", _median_ms(lambda: kept_renderings([named.place], workspace))),
            ("the row and its commit", _median_ms(lambda: workspace.records.insert(row))),
        ]
    rest = hit - sum(ms for _, ms in layers)
    return [*layers, ("ways between threads, and the rest", max(0.0, rest))]


def _median_ms(work: Callable[[], object]) -> float:
    times = []
    for _ in range(TIMES):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)
