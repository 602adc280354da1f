"""The workspace of the API: nothing heavy before it is needed, one for all threads, on the database that is open."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from backtest_pipelines.api.opened_workspace import OpenedWorkspace
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.records.database import Database


def test_the_api_loads_nothing_heavy_at_import() -> None:
    code = (
        "import sys, backtest_pipelines.api.app, backtest_pipelines.api.__main__; "
        "print(sorted({'numpy', 'pyarrow', 'pandas', 'redis'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_threads_share_one_workspace_which_leaves_the_database_open(tmp_path: Path) -> None:
    settings = settings_from({"REDIS_PORT": "1"}, home=tmp_path)
    with Database(settings.database) as database:
        opened = OpenedWorkspace(settings, database)
        with ThreadPoolExecutor(8) as threads:
            workspaces = list(threads.map(lambda _: opened.get(), range(32)))
        assert {id(workspace) for workspace in workspaces} == {id(opened.get())}
        assert opened.get().database is database
        with database.connection() as connection:
            opened_before = connection
        opened.close()
        with database.connection() as connection:
            assert connection is opened_before
            assert connection.execute("SELECT count(*) FROM executions").all() == [(0,)]
