"""Ports of loopback for servers of tests and benchmarks."""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from itertools import cycle

FIRST, SLICE, SLICES = 10_000, 1_000, 20
"""Below those that the system gives to outgoing connections."""


def free_port() -> int:
    """Return a port that nothing listens at, and that no other worker of pytest is given.

    A server takes a second until it listens: were the port the system's choice, others could be there first.
    """
    for port in _ports():
        with closing(socket.socket()) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError


@cache
def _ports() -> Iterator[int]:
    """Return the ports of this process, each to be given once before any comes again."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    number = int(worker) if worker else random.randrange(SLICES)
    first = FIRST + SLICE * (number % SLICES)
    return cycle(random.sample(range(first, first + SLICE), SLICE))
