"""What a process that lives long says: plain words on a terminal, or lines of the log where it logs in JSON."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from backtest_pipelines.logs import LogSettings, configure_logging

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen


def teller(settings: LogSettings, process: str, screen: Screen) -> Callable[[str], None]:
    """Set up the log of a process, and return what tells its user something."""
    configure_logging(settings, process)
    if settings.format == "json":
        return logging.getLogger(__name__).info

    def tell(text: str) -> None:
        with suppress(OSError):  # a terminal that was closed is no reason to stop
            screen.message(text)

    return tell
