"""Ports of loopback for servers of tests and benchmarks."""

import socket
from contextlib import closing


def free_port() -> int:
    """Return a port that nothing listens at."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
