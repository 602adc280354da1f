"""The state file of a home: who supervises it, under which address, and which processes run.

It is kept current, so that commands can show the state, and a new supervisor finds what a killed one left behind.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from backtest_pipelines.atomic import write_atomic
from backtest_pipelines.errors import BadDataError
from backtest_pipelines.service.supervisor.sessions import Leader

FILE_NAME = "supervisor.json"


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process.

    Attributes
    ----------
    name : str
    state : str
    restarts : int
    leader : Leader or None
        None where none runs.
    """

    name: str
    state: str
    restarts: int
    leader: Leader | None


@dataclass(frozen=True, slots=True)
class SupervisorState:
    """What the file holds.

    Attributes
    ----------
    supervisor : Leader
    url : str
        Where the user finds everything.
    web_url : str
        Of Dagster's web server, on this machine only.
    sockets : str
        Folder of the sockets.
    redis_url : str or None
        Of the Redis that was started; None where one outside is used, whose address may hold a password.
    processes : tuple of ProcessState
        In the order of their start.
    """

    supervisor: Leader
    url: str
    web_url: str
    sockets: str
    redis_url: str | None
    processes: tuple[ProcessState, ...]

    def write(self, home: Path) -> None:
        """Replace the file."""
        text = json.dumps(asdict(self), indent=2)
        write_atomic(home / FILE_NAME, lambda file: file.write(text.encode()))


def read_state(home: Path) -> SupervisorState | None:
    """Return the state of a home; None where nothing was ever started, or all was stopped in order.

    Raises
    ------
    BadDataError
        If the file is damaged.
    """
    try:
        text = (home / FILE_NAME).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        content: dict[str, Any] = json.loads(text)
        processes = tuple(
            ProcessState(**{**process, "leader": _leader(process["leader"])}) for process in content["processes"]
        )
        return SupervisorState(**{**content, "supervisor": Leader(**content["supervisor"]), "processes": processes})
    except (KeyError, TypeError, ValueError) as error:
        raise BadDataError(str(home / FILE_NAME), f"not a state file ({error}); remove it") from error


def remove_state(home: Path) -> None:
    """Note that nothing runs any more."""
    (home / FILE_NAME).unlink(missing_ok=True)


def _leader(content: dict[str, Any] | None) -> Leader | None:
    return None if content is None else Leader(**content)
