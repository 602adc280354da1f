"""A home folder made ready for processes: Dagster's own home in it, what it remembers, and who holds it."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from backtest_pipelines.atomic import write_atomic
from backtest_pipelines.errors import MissingDataError, UnavailableError
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.graphql.names import LOCATION
from backtest_pipelines.service.supervisor.state import read_state

_PROJECT = Path(__file__).parents[3]


def prepare_dagster_home(settings: Settings) -> Path:
    """Write the project's dagster.yaml into the folder that Dagster calls its home, and return the folder.

    Raises
    ------
    MissingDataError
        Outside a clone of the project.
    """
    source = _PROJECT / "dagster.yaml" if settings.postgres_url is None else _PROJECT / "deploy" / "dagster.yaml"
    if not source.is_file():
        msg = f"{source} is not there: run this in a clone of the project"
        raise MissingDataError(msg)
    folder = settings.home / "dagster"
    _write_text(folder / "dagster.yaml", source.read_text(encoding="utf-8"))
    return folder


def environment(settings: Settings, dagster_home: Path, redis_url: str | None) -> dict[str, str]:
    """Return the variables that every process of the installation is given.

    Parameters
    ----------
    settings : Settings
    dagster_home : Path
    redis_url : str or None
        None: the environment names a Redis already.
    """
    variables = {
        "BACKTEST_HOME": str(settings.home),
        "BACKTEST_INBOX": str(settings.inbox),
        "BACKTEST_WORKERS": str(settings.limits.workers),
        "DAGSTER_HOME": str(dagster_home),
    }
    if settings.postgres_url is not None:
        variables["BACKTEST_POSTGRES_URL"] = settings.postgres_url
    if redis_url is not None:
        variables["REDIS_URL"] = redis_url
    return variables


def write_workspace(dagster_home: Path, code_socket: Path) -> Path:
    """Write the file that tells Dagster's processes where the code server is, and return its path."""
    location = {"grpc_server": {"socket": str(code_socket), "location_name": LOCATION}}
    path = dagster_home / "workspace.yaml"
    _write_text(path, json.dumps({"load_from": [location]}))  # JSON is YAML
    return path


class StoreMark:
    """Remembers that this version of Dagster made its tables, so that the next start need not look.

    Parameters
    ----------
    dagster_home : Path
    postgres_url : str or None
    """

    def __init__(self, dagster_home: Path, postgres_url: str | None) -> None:
        self._path = dagster_home / "store.json"
        place = None if postgres_url is None else sha256(postgres_url.encode()).hexdigest()
        self._text = json.dumps({"dagster": version("dagster"), "postgres_url_sha256": place})

    def is_set(self) -> bool:
        """Say whether the tables are known to be there."""
        return self._path.is_file() and self._path.read_text(encoding="utf-8") == self._text

    def set(self) -> None:
        """Note that they are."""
        _write_text(self._path, self._text)


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold the home: two Redis servers on one file, or two daemons on one queue, would harm each other.

    Raises
    ------
    UnavailableError
        If it is held already, saying by whom.
    """
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (home / "supervisor.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            state = read_state(home)
            where = "" if state is None else f": {state.url}, process {state.supervisor.pid}"
            msg = f"an installation runs on {home} already{where}; stop it first, or name another home"
            raise UnavailableError(msg) from None
        yield


def _write_text(path: Path, text: str) -> None:
    write_atomic(path, lambda file: file.write(text.encode()))
