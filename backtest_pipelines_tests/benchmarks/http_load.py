"""Callers that ask one HTTP server the same thing again and again, over connections that are kept.

A process of its own, `python -m backtest_pipelines_tests.benchmarks.http_load`, so that it takes no time from who
measures; it reads its order from stdin, as JSON, and writes the time of each answer in ms, as JSON. Requests are bytes
that were made before and answers are read to their last byte, so that the callers cost the two cores little.
"""

from __future__ import annotations

import json
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True)
class Load:
    """What the callers of one process saw.

    Attributes
    ----------
    times_ms : list of float
        From sending a request to the last byte of its answer.
    seconds : float
    refused : int
        Answers whose status was not 200.
    """

    times_ms: list[float]
    seconds: float
    refused: int

    @property
    def per_second(self) -> float:
        return len(self.times_ms) / self.seconds


def start(url: str, path: str, callers: int, seconds: float, body: Mapping[str, object] | None = None) -> _Running:
    """Start callers in a process of their own."""
    order = {"url": url, "path": path, "callers": callers, "seconds": seconds, "body": body}
    command = [sys.executable, "-m", __name__]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(json.dumps(order))
    process.stdin.close()
    return _Running(process)


@dataclass(frozen=True)
class _Running:
    process: subprocess.Popen[str]

    def result(self) -> Load:
        """Wait for the end."""
        assert self.process.stdout is not None
        content = self.process.stdout.read()
        assert self.process.wait() == 0, content
        return Load(**json.loads(content))


@dataclass
class _Caller:
    connection: socket.socket
    sent_s: float = 0.0
    received: bytearray = field(default_factory=bytearray)

    def send(self, request: bytes) -> None:
        self.received.clear()
        self.sent_s = time.perf_counter()
        self.connection.sendall(request)

    def has_answer(self) -> bool:
        """Read what has come, and say whether the answer is whole."""
        self.received += self.connection.recv(1 << 18)
        end = self.received.find(_END_OF_HEAD)
        if end < 0:
            return False
        head = bytes(self.received[:end]).lower()
        length = int(head.partition(_LENGTH)[2].partition(b"\r\n")[0])
        return len(self.received) >= end + len(_END_OF_HEAD) + length

    @property
    def is_ok(self) -> bool:
        return self.received.startswith(b"HTTP/1.1 200")


def _call(order: Mapping[str, Any]) -> Load:
    request = _request(order)
    address = urlsplit(order["url"])
    assert address.hostname is not None
    times_ms: list[float] = []
    refused = 0
    with selectors.DefaultSelector() as selector:
        for _ in range(order["callers"]):
            connection = socket.create_connection((address.hostname, address.port or 80))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            caller = _Caller(connection)
            selector.register(connection, selectors.EVENT_READ, caller)
            caller.send(request)
        begin = time.perf_counter()
        while time.perf_counter() - begin < order["seconds"]:
            for key, _ in selector.select(1.0):
                caller = key.data
                if caller.has_answer():
                    times_ms.append((time.perf_counter() - caller.sent_s) * 1000)
                    refused += not caller.is_ok
                    caller.send(request)
        seconds = time.perf_counter() - begin
        for key in list(selector.get_map().values()):
            key.data.connection.close()
    return Load(times_ms, seconds, refused)


def _request(order: Mapping[str, Any]) -> bytes:
    host = urlsplit(order["url"]).netloc
    if order["body"] is None:
        return f"GET {order['path']} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    body = json.dumps(order["body"]).encode()
    head = f"POST {order['path']} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


if __name__ == "__main__":
    sys.stdout.write(json.dumps(vars(_call(json.loads(sys.stdin.read())))))
