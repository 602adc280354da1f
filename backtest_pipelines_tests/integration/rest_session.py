"""A caller of the REST API as there are some already: it tests for 200, and asks for a job until it has ended."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import httpx

POLL_S = 0.2
JOB_S = 120.0

Json = dict[str, Any]


@dataclass(frozen=True)
class RestSession:
    """A caller with a connection."""

    http: httpx.Client

    def get(self, path: str, **query: str | int) -> Any:
        return _content(self.http.get(f"/api/v1/{path}", params=query))

    def execute(self, key: str | None = None, **fields: object) -> Json:
        headers = {} if key is None else {"Idempotency-Key": key}
        content: Json = _content(self.http.post("/api/v1/execute", json=fields, headers=headers))
        return content

    def invalidate(self, **selected: str | int) -> Json:
        content: Json = _content(self.http.post("/api/v1/cache/invalidate", params=selected))
        return content

    def cancel(self, job_id: str) -> None:
        answer = self.http.delete(f"/api/v1/jobs/{job_id}")
        assert answer.status_code == 204, answer.text

    def ended(self, job_id: str) -> Json:
        """Ask for a job until it is completed or failed."""
        return self._ended(f"jobs/{job_id}")

    def recorded(self, execution_id: int) -> Json:
        """Ask for an execution until it is on record: what a cancelled job leaves is put there a moment later."""
        return self._ended(f"executions/{execution_id}")

    def settle(self) -> None:
        """Wait until no execution is pending: that of a job which failed is on record a moment after its end."""
        deadline = time.monotonic() + JOB_S
        while pending := self.get("executions", status="pending"):
            assert time.monotonic() < deadline, pending
            time.sleep(POLL_S)

    def _ended(self, path: str) -> Json:
        deadline = time.monotonic() + JOB_S
        while True:
            found: Json = self.get(path)
            if found["status"] in ("completed", "failed"):
                return found
            assert time.monotonic() < deadline, found
            time.sleep(POLL_S)


def _content(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()
