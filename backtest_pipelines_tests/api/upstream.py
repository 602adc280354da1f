"""A stand-in for Dagster's web server: what the gateway must carry, and ways to fail that Dagster has no switch for."""

import asyncio
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

PIECE = b"0123456789abcdef" * 4096
HANG_UP = struct.pack("ii", 1, 0)
"""Of SO_LINGER: a close that is a reset."""


@dataclass
class Upstream:
    """The stand-in: where it is, and what it saw."""

    url: str = ""
    requests: list[tuple[str, str, list[tuple[str, str]], bytes]] = field(default_factory=list)
    abandoned: threading.Event = field(default_factory=threading.Event)
    closed_with: list[int | None] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    async def echo(self, request: web.Request) -> web.Response:
        """Keep what came, and answer with headers of every kind."""
        headers = [(name.decode(), value.decode()) for name, value in request.raw_headers]
        body = await request.read()
        if b"query EndedRuns" not in body:  # the API asks that by itself, each few seconds
            self.requests.append((request.method, request.raw_path, headers, body))
        answer = web.Response(body=b"echo", status=207)
        for name, value in (
            ("Set-Cookie", "a=1"),
            ("Set-Cookie", "b=2"),
            ("Connection", "X-Of-This-Hop"),
            ("X-Of-This-Hop", "1"),
            ("Content-Security-Policy", "default-src 'self'"),
            ("X-Kept", "yes"),
        ):
            answer.headers.add(name, value)
        return answer

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Send a piece, wait until the test has it, send another."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(PIECE)
        await asyncio.to_thread(self.release.wait, 10)
        await answer.write(PIECE)
        return answer

    async def endless(self, request: web.Request) -> web.StreamResponse:
        """Send until the other side is gone."""
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(PIECE)
                await asyncio.sleep(0.01)
        finally:
            self.abandoned.set()

    async def breaks_off(self, request: web.Request) -> web.StreamResponse:
        """Die in the middle of an answer."""
        answer = web.StreamResponse(headers={"Content-Length": str(2 * len(PIECE))})
        await answer.prepare(request)
        await answer.write(PIECE)
        _hang_up(request)
        return answer

    async def redirect(self, _: web.Request) -> web.Response:
        """Send the caller somewhere else."""
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Echo, or close or die as the message says."""
        self.requests.append((request.method, request.raw_path, list(request.headers.items()), b""))
        answer = web.WebSocketResponse(protocols=("graphql-ws",))
        await answer.prepare(request)
        async for message in answer:
            if message.type == WSMsgType.BINARY:
                await answer.send_bytes(message.data[::-1])
            elif message.data == "die":
                _hang_up(request)
            elif message.data.startswith("close "):
                await answer.close(code=int(message.data.removeprefix("close ")), message=b"as asked")
            else:
                await answer.send_str(message.data.upper())
        self.closed_with.append(answer.close_code)
        return answer


@contextmanager
def upstream(port: int = 0) -> Iterator[Upstream]:
    """Run the stand-in in a thread; 0 takes a free port."""
    stand_in = Upstream()
    started, stop = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_get("/stream", stand_in.stream)
        app.router.add_get("/endless", stand_in.endless)
        app.router.add_get("/breaks-off", stand_in.breaks_off)
        app.router.add_get("/redirect", stand_in.redirect)
        app.router.add_get("/graphql", stand_in.websocket)
        app.router.add_route("*", "/{path:.*}", stand_in.echo)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(10)
        yield stand_in
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def _hang_up(request: web.Request) -> None:
    transport = request.transport
    assert transport is not None
    with suppress(OSError):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, HANG_UP)
    transport.abort()
