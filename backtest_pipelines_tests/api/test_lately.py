"""Values that are found beside the questions: once for all who ask, again in the background, and not for ever."""

import asyncio

import pytest

from backtest_pipelines.api import lately
from backtest_pipelines.api.lately import Lately
from backtest_pipelines.errors import UnavailableError


class Counted:
    """Counts how often it was found, and lets that fail."""

    def __init__(self) -> None:
        self.times = 0
        self.fails = False

    async def find(self) -> int:
        if self.fails:
            raise UnavailableError("no database")
        await asyncio.sleep(0.005)
        self.times += 1
        return self.times


def test_it_is_found_in_the_background_until_nobody_asks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lately, "EACH_S", 0.01)
    monkeypatch.setattr(lately, "GOES_ON_S", 0.2)

    async def play() -> None:
        counted = Counted()
        value = Lately(counted.find, "a number")
        assert await asyncio.gather(*(value.get() for _ in range(20))) == [1] * 20
        await asyncio.sleep(1)
        ended_with = counted.times
        assert ended_with > 1
        await asyncio.sleep(0.1)
        assert counted.times == ended_with
        assert await value.get() == ended_with + 1
        counted.fails = True
        await asyncio.sleep(0.1)
        with pytest.raises(UnavailableError, match="no database"):
            await value.get()
        assert "a number is not known just now: no database" in caplog.text
        counted.fails = False
        assert await value.get() > ended_with
        await value.close()
        closed_with = counted.times
        await asyncio.sleep(0.1)
        assert counted.times == closed_with

    asyncio.run(play())
