"""The routes of metrics: how often each variant was asked, how long it took, and what failed last."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel, Field

from backtest_pipelines.api.figures import WithFigures
from backtest_pipelines.api.services import Services, WithServices
from backtest_pipelines.api.strategies import known_variant
from backtest_pipelines.records.executions import Execution
from backtest_pipelines.records.metrics import Counts, VariantMetrics, by_variant, counts
from backtest_pipelines.records.times import utc_text
from backtest_pipelines.records.totals import read_totals

RECENT_ERRORS: Final = 10
_STARTED: Final = datetime.now(UTC)
_STARTED_S: Final = time.monotonic()

router = APIRouter(prefix="/metrics", tags=["metrics"])


class Overall(BaseModel):
    """All executions on record; a rate is in percent, and 0 where there are none."""

    total_executions: int
    successful_executions: int
    failed_executions: int = Field(description="cancelled ones included")
    success_rate: float
    cache_hits: int
    cache_misses: int
    cache_hit_rate: float = Field(description="of the successful ones")


class RecentError(BaseModel):
    """One of the last failures."""

    execution_id: int
    started_at: str = Field(description="ISO 8601, UTC")
    type: str
    message: str


class StrategyMetrics(BaseModel):
    """The executions of one variant; times in ms, of the successful ones, zeros where there are none."""

    total_executions: int
    avg_execution_time_ms: float
    min_execution_time_ms: float
    max_execution_time_ms: float
    p50: float = Field(description="median in ms, within 13 percent")
    p95: float = Field(description="95th percentile in ms, within 13 percent")
    success_rate: float = Field(description="percent")
    cache_hit_rate: float = Field(description="percent of the successful ones")
    last_executed_at: str | None = Field(description="ISO 8601, UTC; null where it was never asked")
    recent_errors: list[RecentError] = Field(description=f"the last {RECENT_ERRORS}, the newest first")


class CacheMetrics(BaseModel):
    """The cache, as it was a few seconds ago."""

    total_cached_entries: int
    total_cache_hits: int = Field(description="exact, as those of all executions")
    memory_used_mb: float = Field(description="of the Redis server, in MiB; 0 without Redis")


class Metrics(BaseModel):
    """Everything that was asked, through any door."""

    uptime_seconds: float
    uptime_hours: float
    start_time: str = Field(description="of this server; ISO 8601, UTC")
    current_time: str
    overall: Overall
    by_strategy: dict[str, StrategyMetrics]
    cache: CacheMetrics


class MetricsOfStrategy(BaseModel):
    """One variant."""

    strategy_name: str
    metrics: StrategyMetrics


@router.get("")
async def every(services: WithServices, figures: WithFigures) -> Metrics:
    """Return the metrics of all executions, by whichever door they came in."""
    held = await figures.held.get()
    uptime_seconds = time.monotonic() - _STARTED_S
    overall, variants = await services.call(_read, services)
    return Metrics(
        uptime_seconds=uptime_seconds,
        uptime_hours=uptime_seconds / 3600,
        start_time=utc_text(_STARTED),
        current_time=utc_text(datetime.now(UTC)),
        overall=overall,
        by_strategy=variants,
        cache=CacheMetrics(
            total_cached_entries=held.total_entries,
            total_cache_hits=overall.cache_hits,
            memory_used_mb=held.memory_used_mb,
        ),
    )


@router.get("/{strategy_name}")
async def one(strategy_name: str, services: WithServices) -> MetricsOfStrategy:
    """Return the metrics of one variant; zeros where it was never asked for."""
    known_variant(strategy_name)
    _, variants = await services.call(_read, services, strategy_name)
    return MetricsOfStrategy(strategy_name=strategy_name, metrics=variants.get(strategy_name, _NEVER_ASKED))


def _read(services: Services, variant: str | None = None) -> tuple[Overall, dict[str, StrategyMetrics]]:
    totals = read_totals(services.database, variant)
    variants = {
        name: _of_variant(metrics, services.executions.last_failures(name, RECENT_ERRORS))
        for name, metrics in by_variant(totals).items()
    }
    return _overall(counts(totals)), variants


def _overall(found: Counts) -> Overall:
    return Overall(
        total_executions=found.executions,
        successful_executions=found.completed,
        failed_executions=found.failed,
        success_rate=found.success_rate_percent,
        cache_hits=found.hits,
        cache_misses=found.misses,
        cache_hit_rate=found.cache_hit_rate_percent,
    )


def _of_variant(metrics: VariantMetrics, failures: list[Execution]) -> StrategyMetrics:
    return StrategyMetrics(
        total_executions=metrics.counts.executions,
        avg_execution_time_ms=metrics.durations.mean_ms,
        min_execution_time_ms=metrics.durations.min_ms,
        max_execution_time_ms=metrics.durations.max_ms,
        p50=metrics.durations.p50_ms,
        p95=metrics.durations.p95_ms,
        success_rate=metrics.counts.success_rate_percent,
        cache_hit_rate=metrics.counts.cache_hit_rate_percent,
        last_executed_at=utc_text(metrics.last_started_at),
        recent_errors=[
            RecentError(
                execution_id=failure.id or 0,
                started_at=utc_text(failure.started_at),
                type=failure.error_type or "",
                message=failure.error_message or "",
            )
            for failure in failures
        ],
    )


_NEVER_ASKED: Final = StrategyMetrics(
    total_executions=0,
    avg_execution_time_ms=0.0,
    min_execution_time_ms=0.0,
    max_execution_time_ms=0.0,
    p50=0.0,
    p95=0.0,
    success_rate=0.0,
    cache_hit_rate=0.0,
    last_executed_at=None,
    recent_errors=[],
)
