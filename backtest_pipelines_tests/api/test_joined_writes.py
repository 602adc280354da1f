"""Writes of one turn of the event loop, over a real socket; the tests of the gateway have them in a server."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from backtest_pipelines.api.joined_writes import MOST_HELD_BYTES, JoiningTransport


class Noting:
    """A real transport that notes the sizes of what it is given."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.sizes: list[int] = []

    def write(self, data: bytes) -> None:
        self.sizes.append(len(data))
        self._transport.write(data)

    def close(self) -> None:
        self._transport.close()

    def get_extra_info(self, name: str) -> object:
        return self._transport.get_extra_info(name)


def written(work: Callable[[JoiningTransport], Awaitable[None]]) -> tuple[list[int], bytes]:
    """Return the sizes of the writes that became of some work, and all that arrived."""

    async def run() -> tuple[list[int], bytes]:
        near, far = socket.socketpair()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        reader, writer = await asyncio.open_connection(sock=far)
        noting = Noting(transport)
        await work(JoiningTransport(noting, loop))  # type: ignore[arg-type]
        arrived = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return noting.sizes, arrived

    return asyncio.run(run())


def test_what_is_written_in_one_turn_is_one_write_and_the_next_turn_another() -> None:
    async def work(transport: JoiningTransport) -> None:
        transport.write(b"head ")
        transport.write(bytearray(b"body "))
        await asyncio.sleep(0.01)
        transport.write(memoryview(b"more"))
        transport.close()

    assert written(work) == ([10, 4], b"head body more")


def test_no_more_than_a_bound_is_held_back() -> None:
    async def work(transport: JoiningTransport) -> None:
        for _ in range(5):
            transport.write(bytes(MOST_HELD_BYTES // 2))
        transport.close()
        transport.close()

    sizes, arrived = written(work)
    assert sizes == [MOST_HELD_BYTES // 2 * 3, MOST_HELD_BYTES // 2 * 2]
    assert len(arrived) == sum(sizes)


def test_all_else_is_the_transports_own() -> None:
    async def work(transport: JoiningTransport) -> None:
        assert transport.get_extra_info("socket").family == socket.AF_UNIX
        transport.close()

    assert written(work) == ([], b"")
