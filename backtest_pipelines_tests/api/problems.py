"""Problem documents, as tests expect them."""

from typing import Any

import httpx


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """Return the problem document of an answer with a status."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    content: dict[str, Any] = answer.json()
    assert content.keys() >= {"type", "title", "status", "detail"}
    assert content["status"] == status
    return content
