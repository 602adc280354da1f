"""The Postgres of an installation that is hurt."""

import signal
from contextlib import suppress

import psutil

from backtest_pipelines_tests.postgres import PostgresServer


class HurtPostgres(PostgresServer):
    """A server whose clients, and with them its own processes, come and go while it is signalled."""

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)
