"""``backtest-pipelines up``: starts everything, watches it until Ctrl-C or SIGTERM, and stops it in order."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from backtest_pipelines.api.listening import add_options, listening
from backtest_pipelines.executions.settings import settings_from

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen
    from backtest_pipelines.service.supervisor.installation import Installation

HELP = "Start everything and watch it until Ctrl-C"
EXAMPLES = """examples:
  backtest-pipelines up
  backtest-pipelines up --port 8080 --workers 4 --inbox ~/bhavcopies
  backtest-pipelines up --behind-tls --allow-host backtests.example"""
LOOK_S = 0.1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.add_argument("--port", type=int, default=8000, help="default 8000, 0 takes a free one")
    add_options(parser)
    parser.add_argument("--workers", metavar="N", help="runs at the same time (or BACKTEST_WORKERS); default 2")
    parser.add_argument(
        "--inbox", type=Path, metavar="DIR", help="folder watched for files (or BACKTEST_INBOX); default: in the home"
    )


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Start everything, say where it is, wait for a signal, stop everything."""
    from backtest_pipelines.service.supervisor.installation import installation  # noqa: PLC0415 - this command alone

    environ = dict(os.environ)
    if arguments.workers is not None:
        environ["BACKTEST_WORKERS"] = arguments.workers
    settings = settings_from(environ, home=arguments.home)
    if arguments.inbox is not None:
        settings = replace(settings, inbox=arguments.inbox.expanduser().absolute())

    def tell(text: str) -> None:
        with suppress(OSError):  # a terminal that was closed is no reason to stop
            screen.message(text)

    with (
        _signals() as signals,
        installation(settings, environ, port=arguments.port, listening=listening(arguments), on_event=tell) as running,
    ):
        _watch(running, settings.home, signals, screen)
    tell("stopped")
    return 0


def _watch(running: Installation, home: Path, signals: Counter[int], screen: Screen) -> None:
    """Show how the start goes, then wait for the end."""
    supervisor = running.supervisor
    start = time.monotonic()
    passed_on = 0

    def look() -> None:
        nonlocal passed_on
        for number in range(passed_on, signals.total()):
            supervisor.stop()
            with suppress(OSError):
                screen.message("hastening the stop" if number else "stopping; once more hastens it")
            passed_on += 1
        time.sleep(LOOK_S)

    named: set[str] = set()
    with screen.progress("Starting") as on_step:
        while not (supervisor.is_ready or supervisor.has_ended):
            for child in supervisor.children:
                if child.is_ready and child.part.name not in named:
                    named.add(child.part.name)
                    if not sys.stderr.isatty():
                        screen.message(f"{child.part.name} answers after {time.monotonic() - start:.1f} s")
            on_step(supervisor.ready_count, len(supervisor.children))
            look()
    ready_s = time.monotonic() - start
    if supervisor.is_ready:
        _tell_where(running, home, ready_s, screen)
    while not supervisor.has_ended:
        look()
    supervisor.wait()


def _tell_where(running: Installation, home: Path, ready_s: float, screen: Screen) -> None:
    """Say where everything is, and to a person, or a program that asked for JSON, how to sign in."""
    from backtest_pipelines.api.login.grants import sign_in_link  # noqa: PLC0415 - this command alone

    # Any other output is kept by somebody as a log, where no link that signs in belongs.
    link = sign_in_link(home, running.public_url) if screen.as_json or sys.stdout.isatty() else None
    if screen.as_json:
        told = {"url": running.url, "sign_in_url": link, "pid": os.getpid(), "ready_s": round(ready_s, 1)}
        screen.json(told)
        return
    screen.line(f"Open {running.url} (ready after {ready_s:.1f} s). Ctrl-C stops everything.")
    if link is not None:
        screen.line(f"To sign in, once and within ten minutes: {link}")


@contextmanager
def _signals() -> Iterator[Counter[int]]:
    """Count the signals that ask for the end, instead of being torn out of something by them.

    A shell starts what it puts in the background with SIGINT ignored, `nohup` with SIGHUP: the first is wanted all
    the same, the second is not.
    """
    counted: Counter[int] = Counter()

    def count(number: int, _frame: FrameType | None) -> None:
        counted[number] += 1

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, count) for number in numbers}
    try:
        yield counted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
