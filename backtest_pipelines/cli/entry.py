"""Parses the command line, runs the command, and turns errors into messages and exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from backtest_pipelines import __version__
from backtest_pipelines.cli import (
    cache,
    cancel,
    down,
    ingest,
    job,
    jobs,
    logs,
    result,
    run,
    sample,
    status,
    strategies,
    submit,
    token,
    up,
    worker,
)
from backtest_pipelines.cli.screen import Screen
from backtest_pipelines.errors import BacktestError, BadRequestError, BugError

PROGRAM = "backtest-pipelines"
COMMANDS = {
    "sample": sample,
    "ingest": ingest,
    "strategies": strategies,
    "run": run,
    "submit": submit,
    "jobs": jobs,
    "job": job,
    "result": result,
    "logs": logs,
    "cancel": cancel,
    "cache": cache,
    "up": up,
    "status": status,
    "down": down,
    "token": token,
    "worker": worker,
}
EXIT_CODES = "exit codes: 0 done, 2 bad request, 3 bad or missing data, 1 anything else"
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        raise BadRequestError("command line", message, f"see {self.prog} --help")


class _Version(argparse.Action):
    """Prints the version; finding it is slow, so that only this option pays for it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"{PROGRAM} {__version__}")  # noqa: T201 - this is the command's output
        parser.exit()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; default those of the process.

    Returns
    -------
    int
        Exit status: 0 done, 2 bad request, 3 bad or missing data, 1 anything else (130 when interrupted).
    """
    given = sys.argv[1:] if argv is None else list(argv)
    screen = Screen(as_json="--json" in given)
    try:
        arguments, unknown = parser().parse_known_args(given)
        if unknown:
            arguments.parser.error(f"unknown arguments: {' '.join(unknown)}")
        status: int = arguments.command(arguments, screen)
        sys.stdout.flush()
    except BacktestError as error:
        _report(error, screen, debug="--debug" in given)
        return error.exit_code
    except BrokenPipeError:
        # The reader of stdout went away; the interpreter must not fail once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        screen.message("interrupted; what was finished is kept, nothing is half-written")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the last resort of a process: any other exception is a bug
        _report(BugError(f"{type(error).__name__}: {error}"), screen, debug="--debug" in given)
        return BugError.exit_code
    return status


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = _Parser(
        prog=PROGRAM,
        description="Exact, cached backtests of Indian index option strategies",
        epilog=EXIT_CODES,
        allow_abbrev=False,
    )
    top.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    _add_common(top, home=None, debug=False, json=False)
    commands = top.add_subparsers(metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        _add_common(command, home=argparse.SUPPRESS, debug=argparse.SUPPRESS, json=argparse.SUPPRESS)
        module.configure(command)
        command.set_defaults(command=module.command, parser=command)
    return top


def _add_common(to: argparse.ArgumentParser, *, home: object, debug: object, json: object) -> None:
    """Add the options that may stand before or after the command's name."""
    to.add_argument(
        "--home", type=Path, metavar="DIR", default=home, help="where everything is kept (or BACKTEST_HOME)"
    )
    to.add_argument("--json", action="store_true", default=json, help="print JSON on stdout, messages on stderr")
    to.add_argument("--debug", action="store_true", default=debug, help="show the traceback of an error")


def _report(error: BacktestError, screen: Screen, *, debug: bool) -> None:
    """Print the error that is being handled."""
    if debug:
        import traceback  # noqa: PLC0415 - only here

        traceback.print_exc()
    message = f"{error}; this is a bug, --debug shows more to report" if isinstance(error, BugError) else str(error)
    if screen.as_json:
        value = getattr(error, "value", None)
        content = {
            "type": type(error).__name__,
            "message": message,
            "field": getattr(error, "field", None),
            "value": value if isinstance(value, str | int | None) else str(value),
            "limit": getattr(error, "limit", None),
        }
        screen.json({"error": content})
    screen.message(f"error: {message}")
