"""The command cache: what it prints, what it refuses, and which Redis it asks."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from backtest_pipelines.service.supervisor.sessions import Leader
from backtest_pipelines.service.supervisor.state import SupervisorState
from backtest_pipelines_tests.cli.conftest import VARIANT, Command
from backtest_pipelines_tests.servers import PATIENT, ValkeyServer, valkey, valkey_process

__all__ = ["valkey", "valkey_process"]


@pytest.fixture
def own_home(home: Path, tmp_path: Path) -> Path:
    """A home with the panels of the market, whose answers this test alone has."""
    (tmp_path / "home").mkdir()
    shutil.copytree(home / "panel", tmp_path / "home" / "panel")
    return tmp_path / "home"


@pytest.fixture
def service(own_home: Path, valkey: ValkeyServer) -> Path:
    """The same, as a running `up` would leave it: its state names a Redis."""
    me = Leader.of_this_process()
    url = "http://127.0.0.1:1"
    SupervisorState(me, url, url, str(valkey.folder), f"unix://{valkey.socket}?db=0", ()).write(own_home)
    return own_home


def test_stats_count_files_without_redis(command: Command, own_home: Path) -> None:
    for _ in range(2):
        assert command("run", VARIANT, "--home", own_home).code == 0
    stats = command("cache", "stats", "--home", own_home, "--json").json
    assert stats["by_variant"][VARIANT]["cached_entries"] == stats["total_cached_entries"] == 1
    assert (stats["memory_used_mb"], stats["memory_peak_mb"]) == (0, 0)
    assert {"total_cache_hits", "total_cache_misses"} < set(stats)
    shown = command("cache", "stats", "--home", own_home).out
    assert "entries" in shown
    assert VARIANT in shown


def test_health_is_told_by_the_exit_code_too(command: Command, own_home: Path) -> None:
    absent = command("cache", "health", "--home", own_home)
    assert (absent.code, absent.out) == (1, "no Redis answers; answers come from files\n")
    absent = command("cache", "health", "--home", own_home, "--json")
    assert absent.json == {"status": "unavailable", "latency_ms": None, "version": None, "available": False}


def test_it_asks_the_redis_of_a_running_up(
    command: Command, service: Path, valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in PATIENT.items():
        monkeypatch.setenv(name, text)
    health = command("cache", "health", "--home", service, "--json")
    assert (health.code, health.json["status"]) == (0, "healthy")
    assert "valkey" in command("cache", "health", "--home", service).out

    monkeypatch.setenv("REDIS_URL", f"unix://{valkey.socket}?db=0")
    assert command("run", VARIANT, "--home", service).code == 0
    monkeypatch.delenv("REDIS_URL")
    assert command("cache", "stats", "--home", service, "--json").json["memory_used_mb"] > 0
    invalidated = command("cache", "invalidate", "--all", "--home", service, "--json").json
    assert invalidated == {"deleted_entries": 1, "variant": None, "symbol": None, "older_than": None}
    with valkey.client() as client:
        assert client.keys("*:answer:*") == []
    assert not command("run", VARIANT, "--home", service, "--json").json["cached"]


def test_an_environment_that_names_a_redis_wins(
    command: Command, service: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_PORT", "1")
    assert command("cache", "health", "--home", service).code == 1


@pytest.mark.parametrize(
    ("selection", "deleted"),
    [
        (("--variant", VARIANT), 1),
        (("--symbol", "NIFTY"), 1),
        (("--symbol", "BANKNIFTY"), 0),
        (("--variant", VARIANT, "--symbol", "NIFTY", "--older-than", "0"), 1),
        (("--older-than", "3600.5"), 0),
        (("--all",), 1),
    ],
)
def test_what_is_selected_is_invalidated(
    command: Command, own_home: Path, selection: tuple[str, ...], deleted: int
) -> None:
    assert command("run", VARIANT, "--home", own_home).code == 0
    invalidated = command("cache", "invalidate", *selection, "--home", own_home)
    assert (invalidated.code, invalidated.out) == (0, f"invalidated {deleted} entries\n")
    assert command("run", VARIANT, "--home", own_home, "--json").json["cached"] == (deleted == 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("invalidate",), "cache invalidate: got None; allowed: one or more of --variant, --symbol and --older-than"),
        (("invalidate", "--all", "--symbol", "NIFTY"), "cache invalidate: got '--symbol, --all'"),
        (("invalidate", "--variant", "no_such"), "no_such"),
        (("invalidate", "--symbol", "SENSEX"), "symbol: got 'SENSEX'"),
        (("invalidate", "--older-than", "-5"), "older_than_s: got -5.0; allowed: 0 seconds or more"),
        (("invalidate", "--older-than", "soon"), "invalid float value: 'soon'"),
        (("stats", "--all"), "cache: got '--all'; allowed: only with invalidate"),
        (("health", "--older-than", "5"), "cache: got '--older-than'; allowed: only with invalidate"),
        (("stats", "--dry-run"), "cache: got '--dry-run'; allowed: only with prune"),
        (("prune", "--all"), "cache: got '--all'; allowed: only with invalidate"),
        (("empty",), "invalid choice: 'empty'"),
        ((), "the following arguments are required: action"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    command: Command, own_home: Path, arguments: tuple[str, ...], message: str
) -> None:
    refused = command("cache", *arguments, "--home", own_home)
    assert refused.code == 2
    assert message in refused.err
    assert not (own_home / "executions.sqlite").exists()
