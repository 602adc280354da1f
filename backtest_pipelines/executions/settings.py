"""Where everything is kept and which Redis is asked: read once from an environment that the caller passes in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.results.redis_cache import RedisSettings

VARIABLES: Mapping[str, str] = {
    "BACKTEST_HOME": "Folder where everything is kept; the user's data folder by default",
    "BACKTEST_INBOX": "Folder watched for new files of the exchange; `inbox` in the home folder by default",
    "BACKTEST_CACHE_TTL_S": "Seconds that an answer stays in Redis; 3600 by default",
    "REDIS_URL": "Address of Redis or Valkey in one piece, such as `redis://127.0.0.1:6379/0` or `unix:///path`",
    "REDIS_HOST": "Host of Redis or Valkey; 127.0.0.1 by default",
    "REDIS_PORT": "Its port; 6379 by default",
    "REDIS_DB": "Its database number; 0 by default",
}
"""Every environment variable that is read, with its meaning."""


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
    """

    home: Path
    inbox: Path
    redis: RedisSettings | None


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
    given = {name: value for name in VARIABLES if (value := environ.get(name, "").strip())}
    folder = home or (Path(given["BACKTEST_HOME"]) if "BACKTEST_HOME" in given else _user_data_folder())
    folder = folder.expanduser().absolute()
    inbox = Path(given["BACKTEST_INBOX"]).expanduser().absolute() if "BACKTEST_INBOX" in given else folder / "inbox"
    redis = RedisSettings(
        host=given.get("REDIS_HOST", "127.0.0.1"),
        port=_whole(given, "REDIS_PORT", 6379, 1, 65535),
        db=_whole(given, "REDIS_DB", 0, 0, 1_000_000),
        url=given.get("REDIS_URL"),
        ttl_s=_whole(given, "BACKTEST_CACHE_TTL_S", 3600, 1, 10**9),
    )
    return Settings(folder, inbox, redis)


def _user_data_folder() -> Path:
    from platformdirs import user_data_path  # noqa: PLC0415 - only where no home is given

    return user_data_path("backtest-pipelines")


def _whole(given: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = given.get(name, str(default))
    if not text.isdecimal() or not low <= int(text) <= high:
        raise BadRequestError(name, text, f"allowed: a whole number from {low} to {high}")
    return int(text)
