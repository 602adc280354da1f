"""The body of a request, read whole up to a limit."""

from __future__ import annotations

from starlette.types import Receive


async def body(receive: Receive, longest: int) -> bytes | None:
    """Return the body; None where it is longer than that. Of a caller that hung up it is what came.

    Parameters
    ----------
    receive
    longest : int
        Bytes.
    """
    found = bytearray()
    has_more = True
    while has_more:
        message = await receive()
        found += message.get("body", b"")
        has_more = message.get("more_body", False)
        if len(found) > longest:
            return None
    return bytes(found)
