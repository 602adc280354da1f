"""An installation on one home folder: what an earlier one left is cleared away, then everything is started."""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGTERM

from backtest_pipelines.api.listening import Listening
from backtest_pipelines.api.login.tokens import Tokens
from backtest_pipelines.errors import BadRequestError, UnavailableError
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.graphql.names import LOCATION
from backtest_pipelines.records.database import Database
from backtest_pipelines.records.workers import Workers
from backtest_pipelines.service.supervisor import home as homes
from backtest_pipelines.service.supervisor import parts
from backtest_pipelines.service.supervisor.child import Child, Part
from backtest_pipelines.service.supervisor.redis import redis_part, refuse_evicting
from backtest_pipelines.service.supervisor.sessions import Leader, wait_until
from backtest_pipelines.service.supervisor.state import ProcessState, SupervisorState, read_state, remove_state
from backtest_pipelines.service.supervisor.supervisor import Supervisor

SOCKETS_PREFIX = "backtest-"
GIVE_MEMORY_BACK = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""For the C library of Linux, which else keeps a pool for each thread and what was freed: 15 MB in all at rest."""
DEFINITIONS = f"{LOCATION}.definitions"


@dataclass(frozen=True, slots=True)
class Installation:
    """Processes that are starting or running.

    Attributes
    ----------
    supervisor : Supervisor
    url : str
        Where this machine finds everything.
    public_url : str
        Where other machines find it.
    web_url : str
        Of Dagster's web server alone.
    """

    supervisor: Supervisor
    url: str
    public_url: str
    web_url: str


@contextmanager
def installation(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    port: int = 0,
    listening: Listening | None = None,
    on_event: Callable[[str], None],
    definitions: str = DEFINITIONS,
) -> Iterator[Installation]:
    """Begin to start everything; at the end stop it.

    Where the environment names a Redis (``REDIS_URL`` or ``REDIS_HOST``), it is used and none is started.

    Parameters
    ----------
    settings : Settings
    environ : Mapping of str to str
        That of the processes, to which what they need is added.
    port : int
        0 takes a free one.
    listening : Listening, optional
        Default: on loopback.
    on_event : callable
        Told what a user should know, also from another thread.
    definitions : str
        Module of Dagster's definitions.

    Raises
    ------
    UnavailableError
        If the port is taken, an installation runs on this home already, or something cannot be started.
    BadRequestError
        If the Redis outside cannot be the broker, or others could reach the port without a login.
    """
    settings = replace(settings, home=settings.home.resolve())
    listening = listening or Listening()
    listening.check(Tokens(settings.home).known())
    with homes.held(settings.home):
        if left := clear_away(settings.home):
            on_event(f"an earlier supervisor was killed; the {left} processes that it left were stopped")
        port, web_port = _ports(listening.host, port)
        url, web_url = listening.url(port), f"http://{parts.HOST}:{web_port}"
        is_redis_outside = bool(environ.get("REDIS_URL") or environ.get("REDIS_HOST"))
        if is_redis_outside and settings.redis is not None:
            refuse_evicting(settings.redis)
        # Sockets are kept apart, as their paths have about 100 characters at most; the folder is its owner's.
        sockets = Path(tempfile.mkdtemp(prefix=SOCKETS_PREFIX))
        redis_url = None if is_redis_outside else f"unix://{sockets / 'redis.sock'}?db=0"
        state = SupervisorState(Leader.of_this_process(), url, web_url, str(sockets), redis_url, ())
        try:
            with Database(settings.database) as database:
                supervisor = _supervisor(settings, environ, state, listening, Workers(database), on_event, definitions)
                try:
                    supervisor.start()
                    yield Installation(supervisor, url, listening.public_url(port), web_url)
                finally:
                    _end(supervisor)
        finally:
            shutil.rmtree(sockets, ignore_errors=True)
            remove_state(settings.home)


def clear_away(home: Path) -> int:
    """Stop what a killed supervisor left on a home that is held, politely first; return how many processes led it.

    One after the other, as it would have done: a worker without its broker waits for it to come back.
    """
    state = read_state(home)
    if state is None:
        return 0
    leaders = [process.leader for process in reversed(state.processes) if process.leader is not None]
    left = [leader for leader in leaders if leader.members()]
    for leader in left:
        _end_session(leader)
    sockets = Path(state.sockets)
    if sockets.name.startswith(SOCKETS_PREFIX):
        shutil.rmtree(sockets, ignore_errors=True)
    remove_state(home)
    return len(left)


def _end_session(leader: Leader) -> None:
    leader.signal(SIGTERM)
    wait_until(lambda: not leader.is_alive(), lambda: parts.WORKER_STOP_S)
    leader.kill_session()


def _ports(host: str, port: int) -> tuple[int, int]:
    """Return the ports of the user's door and of the web server, which are free now."""
    if not 0 <= port <= 65535:
        raise BadRequestError("--port", port, "allowed: 0 to 65535, where 0 takes a free port")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as outer, closing(socket.socket()) as inner:
        return _bound(outer, host, port), _bound(inner, parts.HOST, 0)


def _bound(probe: socket.socket, host: str, port: int) -> int:
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((host, port))
    except OSError as error:
        msg = f"port {port} of {host} cannot be used: {error.strerror}; name another"
        raise UnavailableError(msg) from error
    return int(probe.getsockname()[1])


def _supervisor(
    settings: Settings,
    environ: Mapping[str, str],
    state: SupervisorState,
    listening: Listening,
    workers: Workers,
    on_event: Callable[[str], None],
    definitions: str,
) -> Supervisor:
    workers.alive()  # makes the tables, which the processes would otherwise make at once
    dagster_home = homes.prepare_dagster_home(settings)
    mark = homes.StoreMark(dagster_home, settings.postgres_url)
    complete = {**GIVE_MEMORY_BACK, **environ, **homes.environment(settings, dagster_home, state.redis_url)}
    children = [
        Child(part, complete, settings.home / "logs")
        for part in _parts(settings, dagster_home, mark, state, listening, workers, definitions)
    ]

    def write_state() -> None:
        if any(child.part.name == "store" and child.state == "done" for child in children) and not mark.is_set():
            mark.set()
        processes = [ProcessState(child.part.name, child.state, child.restarts, child.leader) for child in children]
        try:
            replace(state, processes=tuple(processes)).write(settings.home)
        except UnavailableError as error:
            on_event(str(error))

    return Supervisor(children, on_change=write_state, on_event=on_event)


def _parts(
    settings: Settings,
    dagster_home: Path,
    mark: homes.StoreMark,
    state: SupervisorState,
    listening: Listening,
    workers: Workers,
    definitions: str,
) -> Sequence[Part]:
    sockets = Path(state.sockets)
    code = sockets / "code.sock"
    workspace_file = homes.write_workspace(dagster_home, code)
    port, web_port = (int(url.rpartition(":")[2]) for url in (state.url, state.web_url))
    first = [] if state.redis_url is None else [redis_part(settings.home / "redis", sockets / "redis.sock")]
    if not mark.is_set():
        first.append(parts.store_part())
    needs = tuple(part.name for part in first)
    options = parts.log_options(settings.logs)
    return [
        *first,
        parts.code_part(code, definitions, web_port, needs, options),
        parts.web_part(web_port, workspace_file, (*needs, "code"), options),
        parts.worker_part(workers, needs),
        parts.daemon_part(web_port, workspace_file, (*needs, "code"), options),
        parts.api_part(listening, port, web_port),
    ]


def _end(supervisor: Supervisor) -> None:
    """Stop everything and wait for it; an interrupt meanwhile hastens it."""
    while True:
        supervisor.stop()
        try:
            supervisor.wait()
        except KeyboardInterrupt:
            continue
        return
