"""The processes of an installation: how each is started, when it answers, and what it needs before."""

from __future__ import annotations

import socket
import sys
import sysconfig
import time
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from backtest_pipelines.api.listening import Listening
from backtest_pipelines.errors import BacktestError
from backtest_pipelines.graphql.names import LOCATION
from backtest_pipelines.graphql.web_server import WebServer
from backtest_pipelines.logs import LogSettings
from backtest_pipelines.records.workers import Workers
from backtest_pipelines.service.supervisor.child import Part
from backtest_pipelines.service.supervisor.sessions import Leader, children_in_session

HOST = "127.0.0.1"
REPLY_S = 2.0
FRESH_BEAT_S = 5.0
SILENT_S = 10.0
"""A worker whose last beat was fresh so long ago is taken for dead."""
WORKER_STOP_S = 20.0
LOOK_AT_BEATS_S = 1.0

_DAEMON_BEAT = """
query Beat { instance { daemonHealth { daemonStatus(daemonType: "QUEUED_RUN_COORDINATOR") { lastHeartbeatTime } } } }
"""


def log_options(logs: LogSettings) -> Sequence[str]:
    """Return the options by which Dagster's own processes log in JSON, where that is wanted."""
    return ("--log-format", "json") if logs.format == "json" else ()


def store_part() -> Part:
    """Return what makes Dagster's tables, before any other process opens them."""
    return Part("store", [sys.executable, "-m", "backtest_pipelines.service.store"], None)


def code_part(
    path: Path, definitions: str, web_port: int, needs: tuple[str, ...] = (), options: Sequence[str] = ()
) -> Part:
    """Return Dagster's code server for a module of definitions, on a socket.

    The web server connects to one that came back by itself, which takes it up to ten seconds: it is waited for.
    """
    # Not `dagster code-server`, whose second process would only serve the UI's button for a reload.
    command = [sys.executable, "-m", "dagster", "api", "grpc", "--use-python-environment-entry-point"]
    web = WebServer(f"http://{HOST}:{web_port}", REPLY_S)

    def is_ready(_pid: int) -> bool:
        if not _accepts(socket.AF_UNIX, str(path)):
            return False
        return not _accepts(socket.AF_INET, (HOST, web_port)) or web.is_ready()

    module = ("-m", definitions, "--location-name", LOCATION)
    return Part("code", [*command, *module, "-s", path, *options], is_ready, needs)


def web_part(port: int, workspace_file: Path, needs: tuple[str, ...], options: Sequence[str] = ()) -> Part:
    """Return Dagster's web server, which answers when it has loaded the definitions."""
    command = [sys.executable, "-m", "dagster_webserver", "-h", HOST, "-p", str(port), "-w", str(workspace_file)]
    dagster = WebServer(f"http://{HOST}:{port}", REPLY_S)
    return Part("web", [*command, *options], lambda _pid: dagster.is_ready(), needs)


def worker_part(workers: Workers, needs: tuple[str, ...]) -> Part:
    """Return the worker, which answers when a child shows itself, and is not well when none does any more."""
    beats = Beats(workers)
    command = [sys.executable, "-m", "backtest_pipelines.service.worker"]
    return Part("worker", command, beats.are_fresh, needs, beats.are_heard, WORKER_STOP_S, follows_its_log=True)


def daemon_part(web_port: int, workspace_file: Path, needs: tuple[str, ...], options: Sequence[str] = ()) -> Part:
    """Return what runs the queue, the sensor and the schedule; the web server tells that it has begun."""
    daemon = Path(sysconfig.get_path("scripts")) / "dagster-daemon"
    dagster = WebServer(f"http://{HOST}:{web_port}", REPLY_S)

    def beats(pid: int) -> bool:
        status = dagster.ask(_DAEMON_BEAT)["instance"]["daemonHealth"]["daemonStatus"]
        return float(status["lastHeartbeatTime"] or 0) > Leader.of(pid).started_s

    return Part("daemon", [daemon, "run", "-w", workspace_file, *options], beats, needs)


def api_part(listening: Listening, port: int, web_port: int) -> Part:
    """Return the API, which answers when it does and the web server that it passes on to does.

    Each is asked by itself: what is asked through the API may need a login.
    """
    url, web_url = listening.url(port), f"http://{HOST}:{web_port}"
    command = [sys.executable, "-m", "backtest_pipelines.api", "--port", str(port), "--dagster-url", web_url]
    web = WebServer(web_url, REPLY_S)
    return Part(
        "api",
        [*command, *listening.options()],
        lambda _pid: _is_healthy(url) and web.is_ready(),
        follows_its_log=True,
    )


@dataclass
class Beats:
    """The beats of the children of one worker, told from those of others by their session.

    Attributes
    ----------
    workers : Workers
    """

    workers: Workers
    _heard_s: float = 0.0
    _looked_s: float = 0.0

    def are_fresh(self, leader_pid: int) -> bool:
        """Say whether a child of the worker has shown itself just now."""
        is_fresh = bool(children_in_session(self.workers.alive(FRESH_BEAT_S), leader_pid))
        if is_fresh:
            self._heard_s = time.monotonic()
        return is_fresh

    def are_heard(self, leader_pid: int) -> bool:
        """Say whether the worker lives; where the database does not answer, nobody could tell that it does not."""
        now_s = time.monotonic()
        if now_s - self._looked_s < LOOK_AT_BEATS_S:
            return True
        self._looked_s = now_s
        try:
            return self.are_fresh(leader_pid) or now_s - self._heard_s < SILENT_S
        except BacktestError:
            self._heard_s = now_s
            return True


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=REPLY_S) as reply:  # noqa: S310 - loopback
            return bool(reply.status == 200)
    except OSError:
        return False


def _accepts(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    with closing(socket.socket(family)) as probe:
        probe.settimeout(REPLY_S)
        return probe.connect_ex(address) == 0
