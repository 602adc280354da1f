"""The API as a process of its own: `python -m backtest_pipelines.api --dagster-url http://127.0.0.1:3000`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import uvicorn

from backtest_pipelines.api.app import create_app
from backtest_pipelines.api.joined_writes import JoiningProtocol
from backtest_pipelines.api.listening import add_options, listening
from backtest_pipelines.errors import BacktestError
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.logs import configure_logging

GRACE_S: Final = 3
"""How long answers under way may take once the end was asked for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m backtest_pipelines.api", description=__doc__)
    parser.add_argument("--port", type=int, default=8000, help="port; default 8000")
    parser.add_argument("--dagster-url", required=True, help="of Dagster's web server, on loopback")
    add_options(parser)
    given = parser.parse_args(arguments)
    try:
        settings = settings_from(os.environ)
        app = create_app(settings, given.dagster_url, listening(given))
    except BacktestError as error:
        parser.exit(error.exit_code, f"error: {error}\n")
    configure_logging(settings.logs, "api")
    config = uvicorn.Config(
        app,
        host=given.host,
        port=given.port,
        loop="uvloop",
        http=JoiningProtocol,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="on",
        access_log=False,
        log_config=None,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    # The server ends in order at SIGTERM, then sends it again to itself: this makes it a clean exit.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
