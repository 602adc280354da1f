"""The figures of the cache for metrics: counted once for all who ask, again in the background, and not for ever."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backtest_pipelines.api import cache_figures
from backtest_pipelines.api.cache_figures import CacheFigures
from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.executions.cache import Held
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.executions.workspace import Workspace


class Counting:
    """Services whose counts a test sees and lets fail."""

    def __init__(self, home: Path) -> None:
        self.workspace = self
        self.opened = Workspace(settings_from({"REDIS_PORT": "1"}, home=home))
        self.counts = 0
        self.fails = False

    def get(self) -> Workspace:
        return self.opened

    async def call(self, function: Callable[..., Held], *given: Any) -> Held:
        self.counts += 1
        if self.fails:
            raise UnavailableError("no database")
        return await asyncio.to_thread(function, *given)


def test_they_are_counted_in_the_background_until_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_figures, "EACH_S", 0.02)
    monkeypatch.setattr(cache_figures, "GOES_ON_S", 0.2)

    async def play() -> None:
        services = Counting(tmp_path)
        figures = CacheFigures(services)  # type: ignore[arg-type]
        held = await asyncio.gather(*(figures.held() for _ in range(20)))
        assert services.counts == 1
        assert {each.total_entries for each in held} == {0}
        await asyncio.sleep(1)
        ended_with = services.counts
        assert ended_with > 1
        await asyncio.sleep(0.1)
        assert services.counts == ended_with
        await figures.held()
        assert services.counts == ended_with + 1
        services.fails = True
        await asyncio.sleep(0.3)
        with pytest.raises(UnavailableError):
            await figures.held()
        services.fails = False
        assert (await figures.held()).total_entries == 0
        await figures.close()
        services.opened.close()

    asyncio.run(play())
