"""The one tree of errors.

Each class answers two questions for the caller: what can be done about it, and can a retry help. Every door (command
line, Dagster, later the REST API) maps these classes to its own words in one place.
"""

from __future__ import annotations

from typing import ClassVar


class BacktestError(Exception):
    """Base of all errors that this package raises on purpose.

    Attributes
    ----------
    retry_can_help : bool
        Whether the same call may succeed later without anybody changing anything.
    exit_code : int
        Exit status of the command line for this class.
    """

    retry_can_help: ClassVar[bool] = False
    exit_code: ClassVar[int] = 1


class BadRequestError(BacktestError):
    """The question itself is wrong: an unknown name, a value outside its range, a wrong type.

    The caller changes the request; a retry cannot help.

    Parameters
    ----------
    field : str
        The field of the request, as the user wrote it.
    value : object
        What was given.
    limit : str
        What is allowed.
    """

    exit_code = 2

    def __init__(self, field: str, value: object, limit: str) -> None:
        super().__init__(f"{field}: got {value!r}; {limit}")
        self.field = field
        self.value = value
        self.limit = limit


class BadDataError(BacktestError):
    """A file or stored value is not what it should be. The caller replaces it; a retry cannot help.

    Parameters
    ----------
    name : str
        Name of the file or value.
    reason : str
        What is wrong, with the value found and what was expected.
    line : int, optional
        Line in the file, counted from 1, the header included.
    """

    exit_code = 3

    def __init__(self, name: str, reason: str, line: int | None = None) -> None:
        where = name if line is None else f"{name}, line {line}"
        super().__init__(f"{where}: {reason}")
        self.name = name
        self.reason = reason
        self.line = line


class MissingDataError(BacktestError):
    """The data that the question needs was never ingested. The caller ingests it first."""

    exit_code = 3


class UnavailableError(BacktestError):
    """A service or the file system does not answer just now. A retry can help."""

    retry_can_help = True


class BugError(BacktestError):
    """Something that cannot happen did. Report it; a retry cannot help."""


class TimeLimitError(BacktestError):
    """The run took longer than it may. The caller asks for less, or raises the limit; a retry cannot help."""


class OutOfMemoryError(BacktestError):
    """The run needed more memory than there is. The caller asks for less; a retry cannot help."""


class WorkerLostError(BacktestError):
    """The process that executed the run ended or stood still. The run is tried again, three times in all."""

    retry_can_help = True


class RunGivenAwayError(BacktestError):
    """The process stood still for so long that its run was given to another: it must not write any more."""
