"""How a process of this package logs: lines of text or of JSON on stderr, each with the run and the execution it is of.

The ids come from the context that a line is written in, so that whoever logs need not know them.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, TextIO

Format = Literal["text", "json"]
FORMATS: Final[tuple[Format, ...]] = ("text", "json")
LEVELS: Final = ("debug", "info", "warning", "error")

LOOK_EACH_S: Final = 0.1
"""Whether the log was renamed: a look takes nearly as long as a line."""
_STDOUT, _STDERR = 1, 2
_PACKAGE: Final = __name__.partition(".")[0]
_PASSWORD: Final = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How processes log.

    Attributes
    ----------
    format : {"text", "json"}
    level : {"debug", "info", "warning", "error"} or None
        From which on lines of this package are written; those of libraries from "warning" on at the lowest. None leaves
        it to the process: "info" for those of the service, "warning" for commands.
    file : Path or None
        The file that stderr is, where somebody renames it once it is large: it is opened anew then.
    """

    format: Format = "text"
    level: str | None = None
    file: Path | None = None


DEFAULT: Final = LogSettings()


@dataclass(frozen=True, slots=True)
class LogContext:
    """What a line is of: the run of Dagster, the execution, the job of the API; None where it is of none."""

    run_id: str | None = None
    execution_id: int | None = None
    job_id: str | None = None


_NOTHING: Final = LogContext()
_CONTEXT: Final[ContextVar[LogContext]] = ContextVar("log_context", default=_NOTHING)


@contextmanager
def log_context(
    *, run_id: str | None = None, execution_id: int | None = None, job_id: str | None = None
) -> Iterator[None]:
    """Let the lines that this thread or task writes within the block carry the ids given, beside those they have."""
    known = _CONTEXT.get()
    token = _CONTEXT.set(LogContext(run_id or known.run_id, execution_id or known.execution_id, job_id or known.job_id))
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def configure_logging(settings: LogSettings, process: str, level: str = "info") -> None:
    """Let this process log on stderr; its warnings, and the exceptions that end it or a thread, too.

    Parameters
    ----------
    settings : LogSettings
    process : str
        How the lines call it.
    level : str
        Where the settings name none.
    """
    handler = logging.StreamHandler(_own_stderr()) if settings.file is None else _FollowingHandler(settings.file)
    handler.setFormatter(_JsonFormatter(process) if settings.format == "json" else _TextFormatter(process))
    root = logging.getLogger()
    for other in list(root.handlers):
        root.removeHandler(other)
    root.addHandler(handler)
    wanted = logging.getLevelNamesMapping()[(settings.level or level).upper()]
    root.setLevel(max(wanted, logging.WARNING))
    logging.getLogger(_PACKAGE).setLevel(wanted)
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_end
    threading.excepthook = _log_end_of_thread


class _FollowingHandler(logging.StreamHandler[TextIO]):
    """Writes to the file that stderr is; soon after that was renamed, to a new one, which stdout and stderr become."""

    def __init__(self, file: Path) -> None:
        super().__init__(_own_stderr())
        self._file = file
        self._renamed: os.stat_result | None = None
        self._looked_s = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_EACH_S:
            self._looked_s = now_s
            try:
                self._follow()
            except OSError:
                self.handleError(record)  # the renamed one is still there
        super().emit(record)

    def _follow(self) -> None:
        own = self.stream.fileno()
        written = os.fstat(own)
        if not self._is_there(written):
            with self._file.open("ab") as opened:
                os.dup2(opened.fileno(), own, inheritable=False)
            self._renamed = written
        for number in (_STDOUT, _STDERR):
            # Where one is captured just now, it follows when it is back.
            if self._renamed is not None and os.path.samestat(os.fstat(number), self._renamed):
                os.dup2(own, number)

    def _is_there(self, written: os.stat_result) -> bool:
        try:
            return os.path.samestat(self._file.stat(), written)
        except FileNotFoundError:
            return False


def _own_stderr() -> TextIO:
    """Return a way of its own to what stderr is now: while the output of a step is captured, stderr is another."""
    return os.fdopen(os.dup(_STDERR), "w", encoding="utf-8", errors="backslashreplace")


class _TextFormatter(logging.Formatter):
    """``2024-06-14 20:00:00,123 INFO worker [run ...] [execution 7] message``; further lines of it are indented."""

    def __init__(self, process: str) -> None:
        super().__init__(f"%(asctime)s %(levelname)s {process}%(ids)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        context = _CONTEXT.get()
        ids = (("run", context.run_id), ("execution", context.execution_id), ("job", context.job_id))
        record.ids = "".join(f" [{name} {value}]" for name, value in ids if value is not None)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        return _without_passwords(super().format(record)).replace("\n", "\n  ")


class _JsonFormatter(logging.Formatter):
    """One JSON object a line, always with the same fields."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        context = _CONTEXT.get()
        content = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _without_passwords(record.getMessage()),
            "process": self._process,
            "pid": record.process,
            "run_id": context.run_id,
            "execution_id": context.execution_id,
            "job_id": context.job_id,
            "exception": _without_passwords(self.formatException(record.exc_info)) if record.exc_info else None,
        }
        return json.dumps(content)


def _without_passwords(text: str) -> str:
    return _PASSWORD.sub(r"\1***@", text) if "://" in text else text


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger(_PACKAGE).critical("The process ends", exc_info=(kind, error, trace))


def _log_end_of_thread(given: threading.ExceptHookArgs) -> None:
    if given.exc_value is not None:
        error = (given.exc_type, given.exc_value, given.exc_traceback)
        logging.getLogger(_PACKAGE).critical("A thread ends", exc_info=error)
