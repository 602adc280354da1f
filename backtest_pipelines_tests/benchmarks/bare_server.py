"""The least that a server of this kind does: the same HTTP server as the API's, and prepared bytes of the size asked.

Usage: python -m backtest_pipelines_tests.benchmarks.bare_server PORT BYTES
"""

from __future__ import annotations

import sys
from typing import Any

import uvicorn


def main() -> None:
    """Serve until the process is ended."""
    port, size = int(sys.argv[1]), int(sys.argv[2])
    body = b"x" * size
    headers = [(b"content-type", b"application/json"), (b"content-length", str(size).encode())]

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    uvicorn.run(
        application,
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
