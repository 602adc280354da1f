"""`make dev`: Dagster's UI on a home folder, with Redis beside it, until Ctrl-C."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from rich.console import Console

from backtest_pipelines.errors import BacktestError
from backtest_pipelines.service.processes import stop_on_signals
from backtest_pipelines.service.servers import servers


def main() -> int:
    """Start everything, say where the UI is, wait for Ctrl-C, stop everything."""
    parser = argparse.ArgumentParser(prog="python -m backtest_pipelines.service.dev", description=__doc__)
    parser.add_argument("--home", type=Path, required=True, help="folder where everything is kept")
    parser.add_argument("--data", type=Path, help="folder watched for files; by default `inbox` in the home")
    parser.add_argument("--port", type=int, default=3000, help="port of the UI on this machine; default 3000")
    given = parser.parse_args()
    console = Console(stderr=True)
    stop_on_signals()
    try:
        with servers(given.home, inbox=given.data, port=given.port) as running:
            running.start_daemon()
            console.print(f"Open {running.url}. Ctrl-C stops everything.", highlight=False)
            while True:
                time.sleep(1)
                running.processes.check()
    except KeyboardInterrupt:
        console.print("Stopped.")
    except BacktestError as error:
        console.print(f"error: {error}", markup=False)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
