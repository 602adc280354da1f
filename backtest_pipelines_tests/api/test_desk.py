"""The desk alone, on a real table: what waits is committed at once, and what is not on record is not given."""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backtest_pipelines.api.desk import AT_ONCE, Desk, Given
from backtest_pipelines.api.opened_workspace import OpenedWorkspace
from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.executions.rendering import Rendered
from backtest_pipelines.executions.serve import Served
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import Execution, ExecutionRecords
from backtest_pipelines.records.totals import read_totals

WEEKLY = "call_sell_future_buy_weekly"
WAIT_S = 10.0


class SlowRecords(ExecutionRecords):
    """A table that takes its first rows only when it is told to."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.has_begun, self.may_go_on = threading.Event(), threading.Event()
        self.sizes: list[int] = []

    def insert_all(self, executions: Sequence[Execution], *, run_has_ended: bool = False) -> list[int]:
        self.has_begun.set()
        assert self.may_go_on.wait(WAIT_S)
        self.sizes.append(len(executions))
        return super().insert_all(executions, run_has_ended=run_has_ended)


def served(number: int) -> Served:
    row = Execution(
        variant=WEEKLY,
        parameters="{}",
        symbol="NIFTY",
        door="rest",
        started_at=datetime.now(UTC),
        duration_ms=1.0,
        outcome="completed",
        row_count=number,
    )
    return Served(row, Rendered(b"{}", number, None))


def on_record(home: Path) -> list[int]:
    with sqlite3.connect(home / "executions.sqlite") as connection:
        return [row[0] for row in connection.execute("SELECT row_count FROM executions ORDER BY id")]


def test_what_waits_is_committed_at_once_and_each_caller_gets_its_own_id(tmp_path: Path) -> None:
    settings = settings_from({"REDIS_PORT": "1"}, home=tmp_path)

    async def ask(desk: Desk, records: SlowRecords) -> list[Given]:
        first = asyncio.create_task(desk.record(served(0)))
        assert await asyncio.to_thread(records.has_begun.wait, WAIT_S)
        others = [asyncio.create_task(desk.record(served(number))) for number in range(1, AT_ONCE + 10)]
        hung_up = asyncio.create_task(desk.record(served(AT_ONCE + 10)))
        await asyncio.sleep(0.1)
        hung_up.cancel()
        records.may_go_on.set()
        return list(await asyncio.gather(first, *others))

    async def run() -> list[Given]:
        with Database(settings.database) as database:
            records = SlowRecords(database)
            desk = Desk(OpenedWorkspace(settings, database), records)
            try:
                given = await ask(desk, records)
            finally:
                desk.close()
            assert records.sizes == [1, AT_ONCE, 10]
            assert sum(total.executions for total in read_totals(database)) == AT_ONCE + 11
        return given

    given = asyncio.run(run())
    assert [each.row.row_count for each in given] == list(range(AT_ONCE + 10))
    assert [each.execution_id for each in given] == list(range(1, AT_ONCE + 11))
    assert on_record(tmp_path) == list(range(AT_ONCE + 11))


def test_a_commit_that_failed_fails_every_answer_that_waits_for_it(tmp_path: Path) -> None:
    settings = settings_from({"REDIS_PORT": "1"}, home=tmp_path)

    async def run() -> list[Given | BaseException]:
        with Database(settings.database) as database:
            records = SlowRecords(database)
            desk = Desk(OpenedWorkspace(settings, database), records)
            try:
                first = asyncio.create_task(desk.record(served(0)))
                await asyncio.to_thread(records.has_begun.wait, WAIT_S)
                others = [asyncio.create_task(desk.record(served(number))) for number in range(1, 4)]
                await asyncio.sleep(0.1)
                with database.connection() as connection:
                    connection.execute(
                        "CREATE TRIGGER full BEFORE INSERT ON executions BEGIN SELECT raise(ABORT, 'full'); END"
                    )
                records.may_go_on.set()
                failed = await asyncio.gather(first, *others, return_exceptions=True)
                with database.connection() as connection:
                    connection.execute("DROP TRIGGER full")
                return [*failed, await desk.record(served(9))]
            finally:
                desk.close()

    *failed, last = asyncio.run(run())
    assert len({id(error) for error in failed}) == 4
    for error in failed:
        assert isinstance(error, UnavailableError)
        assert "full" in str(error)
    assert isinstance(last, Given)
    assert on_record(tmp_path) == [9]


@pytest.mark.parametrize("count", [0, 3])
def test_what_waits_at_the_end_is_still_put_on_record(tmp_path: Path, count: int) -> None:
    settings = settings_from({"REDIS_PORT": "1"}, home=tmp_path)

    async def run() -> None:
        with Database(settings.database) as database:
            desk = Desk(OpenedWorkspace(settings, database), ExecutionRecords(database))
            waiting = [asyncio.create_task(desk.record(served(number))) for number in range(count)]
            await asyncio.sleep(0)
            desk.close()
            await asyncio.gather(*waiting)
            with database.connection() as connection:
                assert connection.execute("SELECT count(*) FROM executions").one() == (count,)

    asyncio.run(run())
