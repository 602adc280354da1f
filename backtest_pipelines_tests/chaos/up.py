"""An installation with the slow job as a process of its own, so that its supervisor can be killed too.

Usage: python -m backtest_pipelines_tests.chaos.up PORT, with BACKTEST_HOME and what else there is in the environment.
"""

import os
import signal
import sys
import threading

from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.service.supervisor.installation import installation
from backtest_pipelines_tests.service.running import DEFINITIONS

READY = "ready"


def main() -> None:
    """Start everything, say so, and stop everything on SIGTERM."""
    asked_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: asked_to_end.set())
    settings = settings_from(os.environ)
    with installation(settings, os.environ, port=int(sys.argv[1]), on_event=_tell, definitions=DEFINITIONS) as running:
        running.supervisor.wait_until_ready()
        _tell(READY)
        asked_to_end.wait()


def _tell(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
