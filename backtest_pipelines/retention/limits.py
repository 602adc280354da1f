"""How long and how much is kept: each limit with its default, its range and its meaning, said once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final

from backtest_pipelines.errors import BadRequestError

VARIABLE: Final = "BACKTEST_RETENTION"
IN_USE_S: Final = 3600.0
"""What was written, used or ended so recently is kept whatever the limits say, in seconds."""
DAY_S: Final = 86_400.0
MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit: a whole number from `low` to `high`, and what it means."""

    low: int
    high: int
    meaning: str


_DAYS: Final = (1, 36_500)
LIMITS: Final[Mapping[str, Limit]] = {
    "keep_runs_days": Limit(*_DAYS, "Days that a run is kept after its end, with its events and compute logs"),
    "most_runs": Limit(1, 10_000_000, "Runs kept at most, the newest"),
    "keep_executions_days": Limit(*_DAYS, "Days that the record of an execution is kept"),
    "most_executions": Limit(1, 10_000_000, "Records of executions kept at most, the newest"),
    "keep_answers_days": Limit(*_DAYS, "Days that an answer is kept after its last use"),
    "most_answers_mb": Limit(1, 100_000_000, "Megabytes of answers kept at most, those used last"),
    "keep_logs_days": Limit(
        *_DAYS, "Days that logs are kept: those of processes, and what runs wrote to their outputs"
    ),
}
"""Every limit by its name."""


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """What is kept: of each kind as many days, and as much, as these say.

    Attributes
    ----------
    keep_runs_days, most_runs, keep_executions_days, most_executions, keep_answers_days, most_answers_mb, keep_logs_days
        See `LIMITS`.

    Raises
    ------
    BadRequestError
        If one is no whole number within its range.
    """

    keep_runs_days: int = 90
    most_runs: int = 10_000
    keep_executions_days: int = 365
    most_executions: int = 1_000_000
    keep_answers_days: int = 365
    most_answers_mb: int = 10_000
    keep_logs_days: int = 30

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            limit = LIMITS[name]
            if not isinstance(value, int) or not limit.low <= value <= limit.high:
                raise BadRequestError(name, value, f"allowed: a whole number from {limit.low} to {limit.high}")


DEFAULT: Final = RetentionLimits()


def limits_from(text: str) -> RetentionLimits:
    """Return the defaults, but for the limits that a text names, such as ``keep_runs_days=30,most_runs=500``.

    Raises
    ------
    BadRequestError
        Naming the limit, its value and what is allowed.
    """
    given: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if not separator or name not in LIMITS or name in given:
            allowed = f"allowed: NAME=VALUE, each name once, separated by commas; the names are {', '.join(LIMITS)}"
            raise BadRequestError(VARIABLE, part, allowed)
        given[name] = value
    return with_values(DEFAULT, given)


def with_values(limits: RetentionLimits, given: Mapping[str, int | str]) -> RetentionLimits:
    """Return the limits with those given in their places, as numbers or as a user wrote them.

    Raises
    ------
    BadRequestError
        Naming the limit, its value and what is allowed.
    """
    values = {
        name: int(value) if isinstance(value, str) and value.isdecimal() else value for name, value in given.items()
    }
    return RetentionLimits(**{**asdict(limits), **values})
