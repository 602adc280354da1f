"""``backtest-pipelines cache``: what the cache of answers holds, whether its Redis answers, invalidating, pruning."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING

from backtest_pipelines.cli.pruned import show_pruned
from backtest_pipelines.errors import BadRequestError

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen
    from backtest_pipelines.executions.workspace import Workspace

HELP = "Show, invalidate or prune the cache of answers"
EXAMPLES = """examples:
  backtest-pipelines cache stats
  backtest-pipelines cache health --json
  backtest-pipelines cache invalidate --variant call_sell_future_buy_t1 --symbol BANKNIFTY
  backtest-pipelines cache invalidate --older-than 86400
  backtest-pipelines cache prune --dry-run"""
SELECTIONS = ("variant", "symbol", "older_than")
UNAVAILABLE = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("action", choices=tuple(ACTIONS), help="what to do")
    parser.add_argument("--variant", help="with invalidate: answers of one variant alone")
    parser.add_argument("--symbol", help="with invalidate: answers of one symbol alone")
    parser.add_argument(
        "--older-than", type=float, metavar="S", help="with invalidate: answers kept more than S seconds ago alone"
    )
    parser.add_argument("--all", action="store_true", help="with invalidate: all answers; no other option beside it")
    parser.add_argument("--dry-run", action="store_true", help="with prune: change nothing, say what would be pruned")


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Do what was asked."""
    _check(arguments)

    from backtest_pipelines.cli.home import open_service_workspace  # noqa: PLC0415 - pyarrow is slow to import

    with open_service_workspace(arguments.home) as workspace:
        return ACTIONS[arguments.action](arguments, workspace, screen)


def _check(arguments: argparse.Namespace) -> None:
    """Refuse what belongs to another action, and an invalidation that does not say of what."""
    selected = [f"--{name.replace('_', '-')}" for name in SELECTIONS if getattr(arguments, name) is not None]
    if arguments.dry_run and arguments.action != "prune":
        raise BadRequestError("cache", "--dry-run", "allowed: only with prune")
    options = ", ".join(selected + ["--all"] * arguments.all)
    if arguments.action != "invalidate":
        if options:
            raise BadRequestError("cache", options, "allowed: only with invalidate")
    elif bool(selected) == arguments.all:
        limit = "allowed: one or more of --variant, --symbol and --older-than, or --all alone"
        raise BadRequestError("cache invalidate", options or None, limit)


def _stats(_: argparse.Namespace, workspace: Workspace, screen: Screen) -> int:
    stats = workspace.cache.stats()
    if screen.as_json:
        screen.json(asdict(stats))
        return 0
    screen.pairs(
        "Cache",
        {
            "entries": str(stats.total_cached_entries),
            "hits": str(stats.total_cache_hits),
            "misses": str(stats.total_cache_misses),
            "memory": f"{stats.memory_used_mb:.1f} MB, at most {stats.memory_peak_mb:.1f} MB",
        },
    )
    rows = [(name, str(each.cached_entries), str(each.total_hits)) for name, each in stats.by_variant.items()]
    screen.table("Variants", ("variant", "entries", "hits"), rows)
    return 0


def _health(_: argparse.Namespace, workspace: Workspace, screen: Screen) -> int:
    health = workspace.cache.health()
    if screen.as_json:
        screen.json({**asdict(health), "available": health.available})
    elif health.available:
        screen.line(f"{health.version} answers in {health.latency_ms:.1f} ms")
    else:
        screen.line("no Redis answers; answers come from files")
    return 0 if health.available else UNAVAILABLE


def _invalidate(arguments: argparse.Namespace, workspace: Workspace, screen: Screen) -> int:
    selected = {name: getattr(arguments, name) for name in SELECTIONS}
    deleted = workspace.cache.invalidate(arguments.variant, arguments.symbol, arguments.older_than)
    if screen.as_json:
        screen.json({"deleted_entries": deleted, **selected})
    else:
        screen.line(f"invalidated {deleted} entries")
    return 0


def _prune(arguments: argparse.Namespace, workspace: Workspace, screen: Screen) -> int:
    from backtest_pipelines.executions.retention import prune_answers_of  # noqa: PLC0415 - this action alone

    pruned = prune_answers_of(workspace, workspace.settings.retention, dry_run=arguments.dry_run)
    show_pruned([pruned], screen, dry_run=arguments.dry_run)
    return 0


ACTIONS = {"stats": _stats, "health": _health, "invalidate": _invalidate, "prune": _prune}
