"""The routes of the cache: what it holds, whether its Redis answers, and invalidating a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from backtest_pipelines.api.services import Services, WithServices
from backtest_pipelines.api.strategies import named_variant

if TYPE_CHECKING:
    from backtest_pipelines.executions.cache import CacheHealth, CacheStats

router = APIRouter(prefix="/cache", tags=["cache"])


class Selection(BaseModel):
    """What is invalidated: all, or what fits each of these."""

    strategy_name: str | None = Field(None, description="only answers of this variant")
    symbol: str | None = Field(None, description="only answers of this symbol")
    older_than: float | None = Field(
        None, description="only answers of more than this age, in seconds", ge=0, allow_inf_nan=False
    )


class Invalidated(BaseModel):
    """What was invalidated."""

    status: Literal["success"] = "success"
    deleted_entries: int = Field(description="answers removed from Redis; without Redis, files that became misses")
    strategy: str | None = Field(description="as it was asked; null for all")


class StrategyCache(BaseModel):
    """The cache of one variant."""

    cached_entries: int
    total_hits: int


class Stats(BaseModel):
    """What the cache holds, and how often it helped."""

    total_cached_entries: int = Field(description="valid answers in Redis; without Redis, valid answer files")
    total_cache_hits: int = Field(description="executions on record whose answer was found")
    total_cache_misses: int = Field(description="executions on record that computed their answer")
    memory_used_mb: float = Field(description="of the Redis server, in MiB; 0 without Redis")
    memory_peak_mb: float
    by_strategy: dict[str, StrategyCache]


class Health(BaseModel):
    """Whether Redis answers within the time that a look-up has."""

    status: Literal["healthy", "unavailable"]
    available: bool
    latency_ms: float | None
    version: str | None = Field(description="name and version of the server")


@router.post("/invalidate")
async def invalidate(services: WithServices, selection: Annotated[Selection, Query()]) -> Invalidated:
    """Invalidate the answers that were kept until now. No file is deleted, and past executions keep their trades."""
    if selection.strategy_name is not None:
        named_variant("strategy_name", selection.strategy_name)
    deleted = await services.call(_invalidate, services, selection)
    return Invalidated(deleted_entries=deleted, strategy=selection.strategy_name)


@router.get("/stats")
async def stats(services: WithServices) -> Stats:
    """Count what the cache holds now; it takes two milliseconds for each hundred entries."""
    found = await services.call(_stats, services)
    return Stats(
        total_cached_entries=found.total_cached_entries,
        total_cache_hits=found.total_cache_hits,
        total_cache_misses=found.total_cache_misses,
        memory_used_mb=found.memory_used_mb,
        memory_peak_mb=found.memory_peak_mb,
        by_strategy={
            name: StrategyCache(cached_entries=each.cached_entries, total_hits=each.total_hits)
            for name, each in found.by_variant.items()
        },
    )


@router.get("/health")
async def health(services: WithServices) -> Health:
    """Say whether Redis answers; where it does not, answers come from files."""
    found = await services.call(_health, services)
    return Health(status=found.status, available=found.available, latency_ms=found.latency_ms, version=found.version)


def _invalidate(services: Services, selection: Selection) -> int:
    control = services.workspace.get().cache
    return control.invalidate(selection.strategy_name, selection.symbol, selection.older_than)


def _stats(services: Services) -> CacheStats:
    return services.workspace.get().cache.stats()


def _health(services: Services) -> CacheHealth:
    return services.workspace.get().cache.health()
