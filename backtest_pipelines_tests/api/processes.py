"""The API as a process of its own, as users run it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from backtest_pipelines_tests.ports import free_port

START_S = 90.0
STOP_S = 10.0


@dataclass(frozen=True)
class Api:
    """A running API, its home, and the process."""

    url: str
    home: Path
    process: subprocess.Popen[bytes]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def api(
    home: Path, dagster_url: str, *options: str, environ: Mapping[str, str] | None = None, log: str = "api.log"
) -> Iterator[Api]:
    """Start the API on a home, wait until it answers, and stop it."""
    port = free_port()
    command = [sys.executable, "-m", "backtest_pipelines.api", "--port", str(port), "--dagster-url", dagster_url]
    with running([*command, *options], home, home / log, environ) as process:
        url = f"http://127.0.0.1:{port}"
        wait_until_ok(f"{url}/health", process)
        yield Api(url, home, process)


@contextmanager
def running(
    command: list[str], home: Path, log: Path, environ: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process on a home and stop it."""
    variables = os.environ | {"BACKTEST_HOME": str(home), "REDIS_PORT": "1"} | dict(environ or {})
    with log.open("ab") as output:
        process = subprocess.Popen(command, env=variables, stdout=output, stderr=output, start_new_session=True)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until_ok(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers with 200."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert process.poll() is None, "the server ended at once"
        assert time.monotonic() < deadline, "the server does not answer"
        time.sleep(0.05)
