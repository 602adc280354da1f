"""One home folder with its panels, answers and records, opened as they are needed."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from backtest_pipelines.executions.cache import CacheControl
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.executions.single_flight import SingleFlight
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.executions import ExecutionRecords
from backtest_pipelines.records.invalidations import Invalidations
from backtest_pipelines.records.jobs import JobRecords
from backtest_pipelines.results.files import AnswerFiles
from backtest_pipelines.results.redis_cache import RedisCache
from backtest_pipelines.results.store import AnswerStore


class Workspace:
    """What `execute` works with; may be shared by threads. Nothing is opened before its first use.

    Parameters
    ----------
    settings : Settings
    database : Database, optional
        One that is in use already, and is closed by whoever made it; by default that of the settings.

    Attributes
    ----------
    panels : PanelStore
    answers : AnswerStore
    cache : CacheControl
    database : Database
    records : ExecutionRecords
    jobs : JobRecords
    computing : SingleFlight
        Equal questions that are being computed right now.
    """

    def __init__(self, settings: Settings, database: Database | None = None) -> None:
        self.settings = settings
        self.panels = PanelStore(settings.home / "panel")
        self.database = database or Database(settings.database)
        self._closes_database = database is None
        self.records = ExecutionRecords(self.database)
        self.jobs = JobRecords(self.database)
        invalidations = Invalidations(self.database)
        redis = None if settings.redis is None else RedisCache(settings.redis)
        self.answers = AnswerStore(AnswerFiles(settings.home / "answers"), invalidations, redis)
        self.cache = CacheControl(self.answers, invalidations, self.database)
        self.computing: SingleFlight[tuple[bytes, float]] = SingleFlight()

    def close(self) -> None:
        """Close the connections."""
        self.answers.close()
        if self._closes_database:
            self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
