"""Each test of records runs on an SQLite file and on a real Postgres."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backtest_pipelines.records.database import Database


@pytest.fixture(params=["sqlite", "postgres"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a database is to be that does not exist yet."""
    if request.param == "sqlite":
        return tmp_path / "home" / "executions.sqlite"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def database(location: Path | str) -> Iterator[Database]:
    with Database(location) as database:
        yield database
