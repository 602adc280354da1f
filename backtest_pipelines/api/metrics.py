"""The routes of metrics: how often each variant was asked, how long it took, and what failed last."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter

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


@router.get("")
async def every(services: WithServices, figures: WithFigures) -> dict[str, Any]:
    """Return the metrics of all executions, by whichever door they came in."""
    held = await figures.held.get()
    uptime_seconds = time.monotonic() - _STARTED_S
    overall, variants = await services.call(_read, services)
    return {
        "uptime_seconds": uptime_seconds,
        "uptime_hours": uptime_seconds / 3600,
        "start_time": utc_text(_STARTED),
        "current_time": utc_text(datetime.now(UTC)),
        "overall": overall,
        "by_strategy": variants,
        "cache": {
            "total_cached_entries": held.total_entries,
            "total_cache_hits": overall["cache_hits"],
            "memory_used_mb": held.memory_used_mb,
        },
    }


@router.get("/{strategy_name}")
async def one(strategy_name: str, services: WithServices) -> dict[str, Any]:
    """Return the metrics of one variant; zeros where it was never asked for."""
    known_variant(strategy_name)
    _, variants = await services.call(_read, services, strategy_name)
    return {"strategy_name": strategy_name, "metrics": variants.get(strategy_name, _never_asked())}


def _read(services: Services, variant: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    totals = read_totals(services.database, variant)
    variants = {
        name: _view(metrics, services.executions.last_failures(name, RECENT_ERRORS))
        for name, metrics in by_variant(totals).items()
    }
    return _overall(counts(totals)), variants


def _overall(found: Counts) -> dict[str, Any]:
    return {
        "total_executions": found.executions,
        "successful_executions": found.completed,
        "failed_executions": found.failed,
        "success_rate": found.success_rate_percent,
        "cache_hits": found.hits,
        "cache_misses": found.misses,
        "cache_hit_rate": found.cache_hit_rate_percent,
    }


def _view(metrics: VariantMetrics, failures: list[Execution]) -> dict[str, Any]:
    return {
        "total_executions": metrics.counts.executions,
        "avg_execution_time_ms": metrics.durations.mean_ms,
        "min_execution_time_ms": metrics.durations.min_ms,
        "max_execution_time_ms": metrics.durations.max_ms,
        "p50": metrics.durations.p50_ms,
        "p95": metrics.durations.p95_ms,
        "success_rate": metrics.counts.success_rate_percent,
        "cache_hit_rate": metrics.counts.cache_hit_rate_percent,
        "last_executed_at": utc_text(metrics.last_started_at),
        "recent_errors": [
            {
                "execution_id": failure.id,
                "started_at": utc_text(failure.started_at),
                "type": failure.error_type,
                "message": failure.error_message or "",
            }
            for failure in failures
        ],
    }


def _never_asked() -> dict[str, Any]:
    times = ("avg_execution_time_ms", "min_execution_time_ms", "max_execution_time_ms", "p50", "p95")
    rates = ("success_rate", "cache_hit_rate")
    return {
        "total_executions": 0,
        **dict.fromkeys((*times, *rates), 0.0),
        "last_executed_at": None,
        "recent_errors": [],
    }
