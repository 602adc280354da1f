"""The resource that says where everything is kept and which Redis is asked, from the environment.

Environment: ``BACKTEST_HOME``, ``BACKTEST_INBOX``, ``BACKTEST_CACHE_TTL_S``, and ``REDIS_URL``, or
``REDIS_HOST``, ``REDIS_PORT`` and ``REDIS_DB``. It is read when a run, sensor or schedule starts, never at import.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import redis  # noqa: F401 - here, so that the first look-up of a run does not pay for the import
from pydantic import Field, PrivateAttr

from backtest_pipelines.defs.failures import dagster_failures
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.executions.workspace import Workspace


class WorkspaceResource(dg.ConfigurableResource["WorkspaceResource"]):
    """The workspace of the environment. A field that is set wins over its variable."""

    home: str | None = Field(default=None, description="Home folder; absent: BACKTEST_HOME")
    inbox: str | None = Field(default=None, description="Folder of exchange files; absent: BACKTEST_INBOX")
    redis_url: str | None = Field(default=None, description="redis:// or unix://; absent: REDIS_URL")
    redis_host: str | None = Field(default=None, description="Absent: REDIS_HOST")
    redis_port: int | None = Field(default=None, description="Absent: REDIS_PORT")
    redis_db: int | None = Field(default=None, description="Absent: REDIS_DB")
    cache_ttl_s: int | None = Field(default=None, description="Seconds; absent: BACKTEST_CACHE_TTL_S")

    _opened: Workspace | None = PrivateAttr(default=None)

    @property
    def opened(self) -> Workspace:
        """The workspace; only while a run, sensor or schedule is under way."""
        if self._opened is None:
            msg = "the workspace is opened by Dagster when a run starts"
            raise RuntimeError(msg)
        return self._opened

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["WorkspaceResource"]:  # noqa: ARG002 - given by Dagster
        """Open the workspace for the time of a run."""
        given = {
            "BACKTEST_HOME": self.home,
            "BACKTEST_INBOX": self.inbox,
            "REDIS_URL": self.redis_url,
            "REDIS_HOST": self.redis_host,
            "REDIS_PORT": self.redis_port,
            "REDIS_DB": self.redis_db,
            "BACKTEST_CACHE_TTL_S": self.cache_ttl_s,
        }
        with dagster_failures():
            environ = os.environ | {name: str(value) for name, value in given.items() if value is not None}
            settings = settings_from(environ)
        with Workspace(settings) as self._opened:
            yield self
        self._opened = None
