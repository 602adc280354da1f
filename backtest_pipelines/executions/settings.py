"""Where everything is kept and which Redis is asked: read once from an environment that the caller passes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.logs import DEFAULT as LOGS_DEFAULT
from backtest_pipelines.logs import FORMATS, LEVELS, LogSettings
from backtest_pipelines.results.redis_cache import RedisSettings
from backtest_pipelines.retention.limits import DEFAULT as RETENTION_DEFAULT
from backtest_pipelines.retention.limits import VARIABLE as RETENTION_VARIABLE
from backtest_pipelines.retention.limits import RetentionLimits, limits_from

LOG_FILE_VARIABLE: Final = "BACKTEST_LOG_FILE"
VARIABLES: Mapping[str, str] = {
    "BACKTEST_HOME": "Folder where everything is kept; the user's data folder by default",
    "BACKTEST_INBOX": "Folder watched for new files of the exchange; `inbox` in the home folder by default",
    "BACKTEST_CACHE_TTL_S": "Seconds that an answer stays in Redis; 3600 by default",
    "BACKTEST_CACHE_TIMEOUT_MS": (
        "Milliseconds that a connection to Redis, and each reply, may take when an answer is looked up; 20 by default"
    ),
    "REDIS_URL": "Address of Redis or Valkey in one piece, such as `redis://127.0.0.1:6379/0` or `unix:///path`",
    "REDIS_HOST": "Host of Redis or Valkey; 127.0.0.1 by default",
    "REDIS_PORT": "Its port; 6379 by default",
    "REDIS_DB": "Its database number; 0 by default",
    "BACKTEST_POSTGRES_URL": (
        "Address of a Postgres database, such as `postgresql://user:password@127.0.0.1:5432/backtest`, "
        "for runs, events, executions and jobs; SQLite files in the home folder by default"
    ),
    "BACKTEST_WORKERS": "Runs that a worker executes at the same time; 2 by default",
    "BACKTEST_WORKER_RUNS": "Bells that a worker's child hears before it is replaced; 1000 by default",
    "BACKTEST_WORKER_MEMORY_MB": (
        "Resident memory from which on a worker's child is replaced after its run; 1000 by default"
    ),
    "BACKTEST_SOFT_LIMIT_S": "Seconds after which a run is stopped, saying why; 3300 by default",
    "BACKTEST_HARD_LIMIT_S": "Seconds after which the process of a run is killed; 3600 by default",
    "BACKTEST_JOB_KEEP_H": "Hours that a finished job, and with it its request id, is known; 24 by default",
    "BACKTEST_REQUESTS_PER_S": "Requests that the API takes from one token or address in a second; 10000 by default",
    "BACKTEST_REQUESTS_AT_ONCE": "Requests that it answers at the same time; 256 by default",
    RETENTION_VARIABLE: (
        "What is kept, as `NAME=VALUE,NAME=VALUE`, such as `keep_runs_days=30,most_runs=5000`; "
        "each limit that is not named has its default"
    ),
    "BACKTEST_LOG_FORMAT": "`text` or `json`: how processes log; `text` by default",
    "BACKTEST_LOG_LEVEL": (
        "`debug`, `info`, `warning` or `error`; by default `info` for the processes of the service, "
        "`warning` for commands"
    ),
    LOG_FILE_VARIABLE: (
        "Set by `up` for the processes that it starts: the file that their stderr is, which they open anew "
        "after it was turned over"
    ),
    "BACKTEST_API_URL": "Address that the Python client and the job commands ask; `http://127.0.0.1:8000` by default",
    "BACKTEST_TOKEN": "Token that they show there; none by default",
}
"""Every environment variable that is read, with its meaning."""
_POSTGRES_SCHEMES = ("postgresql", "postgres", "postgresql+psycopg2")


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds runs, workers, jobs and requests.

    Attributes
    ----------
    workers : int
        Runs at the same time on one worker.
    runs_per_child : int
        Bells that a child hears before it is replaced.
    memory_mb : int
        Resident memory from which on a child is replaced after its run.
    soft_limit_s, hard_limit_s : int
        After the first a run is stopped cleanly, after the second its process is killed.
    job_keep_h : int
        How long a finished job is known.
    requests_per_s : int
        Of one caller of the API, a token or an address.
    requests_at_once : int
        Of all callers, under way at the same time.
    """

    workers: int = 2
    runs_per_child: int = 1000
    memory_mb: int = 1000
    soft_limit_s: int = 3300
    hard_limit_s: int = 3600
    job_keep_h: int = 24
    requests_per_s: int = 10_000
    requests_at_once: int = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """What a workspace is opened with.

    Attributes
    ----------
    home : Path
        Absolute; created with mode 0700 when first written.
    inbox : Path
    redis : RedisSettings or None
        None: no cache in front of the files.
    postgres_url : str or None
        None: SQLite files in the home folder.
    limits : Limits
    retention : RetentionLimits
    logs : LogSettings
    """

    home: Path
    inbox: Path
    redis: RedisSettings | None
    postgres_url: str | None = None
    limits: Limits = Limits()
    retention: RetentionLimits = RETENTION_DEFAULT
    logs: LogSettings = LOGS_DEFAULT

    @property
    def database(self) -> Path | str:
        """Where executions, jobs and claims are kept: the URL of Postgres, or an SQLite file in the home."""
        return self.postgres_url or self.home / "executions.sqlite"


def settings_from(environ: Mapping[str, str], *, home: Path | None = None) -> Settings:
    """Return the settings that an environment describes.

    Parameters
    ----------
    environ : Mapping of str to str
        Usually ``os.environ``. An empty value counts as absent.
    home : Path, optional
        Wins over ``BACKTEST_HOME``.

    Raises
    ------
    BadRequestError
        Naming the variable, its value and what is allowed.
    """
    given = _given(environ)
    folder = home or (Path(given["BACKTEST_HOME"]) if "BACKTEST_HOME" in given else _user_data_folder())
    folder = folder.expanduser().absolute()
    inbox = Path(given["BACKTEST_INBOX"]).expanduser().absolute() if "BACKTEST_INBOX" in given else folder / "inbox"
    redis = RedisSettings(
        host=given.get("REDIS_HOST", "127.0.0.1"),
        port=_whole(given, "REDIS_PORT", 6379, 1, 65535),
        db=_whole(given, "REDIS_DB", 0, 0, 1_000_000),
        url=given.get("REDIS_URL"),
        ttl_s=_whole(given, "BACKTEST_CACHE_TTL_S", 3600, 1, 10**9),
        timeout_s=_whole(given, "BACKTEST_CACHE_TIMEOUT_MS", 20, 1, 60_000) / 1000,
    )
    retention = limits_from(given.get(RETENTION_VARIABLE, ""))
    return Settings(folder, inbox, redis, _postgres_url(given), _limits(given), retention, log_settings_from(environ))


def log_settings_from(environ: Mapping[str, str]) -> LogSettings:
    """Return how an environment wants processes to log.

    Raises
    ------
    BadRequestError
        Naming the variable, its value and what is allowed.
    """
    given = _given(environ)
    form = given.get("BACKTEST_LOG_FORMAT", "text")
    level = given.get("BACKTEST_LOG_LEVEL")
    if form not in FORMATS:
        raise BadRequestError("BACKTEST_LOG_FORMAT", form, f"allowed: {', '.join(FORMATS)}")
    if level is not None and level not in LEVELS:
        raise BadRequestError("BACKTEST_LOG_LEVEL", level, f"allowed: {', '.join(LEVELS)}")
    file = given.get(LOG_FILE_VARIABLE)
    return LogSettings(form, level, Path(file) if file else None)


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name in VARIABLES if (value := environ.get(name, "").strip())}


def _user_data_folder() -> Path:
    from platformdirs import user_data_path  # noqa: PLC0415 - only where no home is given

    return user_data_path("backtest-pipelines")


def _limits(given: Mapping[str, str]) -> Limits:
    default = Limits()
    limits = Limits(
        workers=_whole(given, "BACKTEST_WORKERS", default.workers, 1, 64),
        runs_per_child=_whole(given, "BACKTEST_WORKER_RUNS", default.runs_per_child, 1, 10**6),
        memory_mb=_whole(given, "BACKTEST_WORKER_MEMORY_MB", default.memory_mb, 100, 10**6),
        soft_limit_s=_whole(given, "BACKTEST_SOFT_LIMIT_S", default.soft_limit_s, 1, 10**6),
        hard_limit_s=_whole(given, "BACKTEST_HARD_LIMIT_S", default.hard_limit_s, 1, 10**6),
        job_keep_h=_whole(given, "BACKTEST_JOB_KEEP_H", default.job_keep_h, 1, 10**6),
        requests_per_s=_whole(given, "BACKTEST_REQUESTS_PER_S", default.requests_per_s, 1, 10**6),
        requests_at_once=_whole(given, "BACKTEST_REQUESTS_AT_ONCE", default.requests_at_once, 1, 10**6),
    )
    if limits.soft_limit_s >= limits.hard_limit_s:
        raise BadRequestError(
            "BACKTEST_SOFT_LIMIT_S",
            limits.soft_limit_s,
            f"allowed: less than BACKTEST_HARD_LIMIT_S, which is {limits.hard_limit_s}",
        )
    return limits


def _postgres_url(given: Mapping[str, str]) -> str | None:
    """Return the URL in the spelling that SQLAlchemy 2.1 and libpq can both be given."""
    url = given.get("BACKTEST_POSTGRES_URL")
    if url is None:
        return None
    scheme, separator, rest = url.partition("://")
    if not separator or not rest or scheme not in _POSTGRES_SCHEMES:
        shown = f"{scheme}://..." if separator else "text without ://"  # the rest may hold a password
        raise BadRequestError("BACKTEST_POSTGRES_URL", shown, "allowed: postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    return f"postgresql+psycopg2://{rest}"


def _whole(given: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = given.get(name, str(default))
    if not text.isdecimal() or not low <= int(text) <= high:
        raise BadRequestError(name, text, f"allowed: a whole number from {low} to {high}")
    return int(text)
