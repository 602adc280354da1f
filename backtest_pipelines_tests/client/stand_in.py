"""A small HTTP server that answers as the service does, with faults on request: what a real one does too rarely."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

WAITING = {"status": "pending", "state": "queued", "progress": 0.0, "attempts": 0}
RUNNING = {"status": "running", "state": "running", "progress": 0.5, "attempts": 1, "run_id": "run-1"}
FAILED = {
    **RUNNING,
    "status": "failed",
    "state": "failed",
    "progress": 1.0,
    "error": {"type": "MissingDataError", "message": "NIFTY was never ingested"},
}
CANCELLED = {**FAILED, "state": "cancelled", "error": {"type": "cancelled", "message": "It was cancelled."}}
DROP = "the reply is lost"


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def completed(fingerprint: str) -> dict[str, Any]:
    found = {"fingerprint": fingerprint, "execution_id": 7, "duration_ms": 4.25, "row_count": 3}
    return {**RUNNING, "status": "completed", "state": "completed", "progress": 1.0, **found}


@dataclass
class Service:
    """What the server knows and what it was asked.

    Attributes
    ----------
    jobs : dict
        By id, the oldest first.
    course : list of dict
        What a job goes through: each look at it moves it on by one, to the last.
    answers : dict of str to bytes
        By fingerprint.
    log : list of (text, level)
    faults : deque
        What happens to the next requests after they were carried out: `DROP`, or a status instead of the reply.
    asked : Counter
        Requests by method and path.
    """

    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    course: list[dict[str, Any]] = field(default_factory=lambda: [WAITING])
    answers: dict[str, bytes] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    faults: deque[str | int] = field(default_factory=deque)
    asked: Counter[str] = field(default_factory=Counter)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    looks: Counter[str] = field(default_factory=Counter)
    lock: Lock = field(default_factory=Lock)
    url: str = ""

    def submit(self, body: dict[str, Any]) -> tuple[int, object]:
        self.bodies.append(body)
        if body["variant"] == "unknown":
            wrong = {"field": "variant", "value": "unknown", "limit": "allowed: call_sell_future_buy_weekly"}
            return 422, {"title": "Unprocessable Content", "status": 422, "detail": "variant: ...", **wrong}
        for job in self.jobs.values():
            if job["request_id"] == body["request_id"]:
                if job["request"] == body:
                    return 200, job
                wrong = {"field": "request_id", "value": body["request_id"], "limit": "allowed: another id"}
                return 409, {"title": "Conflict", "status": 409, "detail": "request_id: ...", **wrong}
        job_id = f"job-{len(self.jobs) + 1}"
        self.jobs[job_id] = {
            "job_id": job_id,
            "request_id": body["request_id"],
            "variant": body["variant"],
            "symbol": body["symbol"],
            "request": body,
            "submitted_at": "2026-01-02T03:04:05+00:00",
            **dict.fromkeys(("run_id", "fingerprint", "execution_id", "duration_ms", "row_count", "error")),
            **WAITING,
        }
        return 201, self.jobs[job_id]

    def look(self, job_id: str) -> tuple[int, object]:
        if job_id not in self.jobs:
            return 404, {"title": "Not Found", "status": 404, "detail": f"there is no job {job_id}"}
        step = min(self.looks[job_id], len(self.course) - 1)
        self.looks[job_id] += 1
        self.jobs[job_id] |= self.course[step]
        return 200, self.jobs[job_id]

    def cancel(self, job_id: str) -> tuple[int, object]:
        if job_id not in self.jobs:
            return 404, {"title": "Not Found", "status": 404, "detail": f"there is no job {job_id}"}
        if self.jobs[job_id]["status"] in ("completed", "failed") and self.jobs[job_id]["state"] != "cancelled":
            return 409, {"title": "Conflict", "status": 409, "detail": f"job {job_id} is completed"}
        self.course = [CANCELLED]
        self.jobs[job_id] |= CANCELLED
        return 204, None

    def listed(self, wanted: dict[str, list[str]]) -> tuple[int, object]:
        found = [
            job
            for job in reversed(self.jobs.values())
            if job["status"] in wanted.get("status", [job["status"]])
            and job["variant"] in wanted.get("strategy", [job["variant"]])
        ]
        return 200, found[: int(wanted["limit"][0])]

    def graphql(self, body: dict[str, Any]) -> tuple[int, object]:
        """Answer what the log holds after the cursor, two lines a page."""
        start = int(body["variables"]["cursor"] or 0)
        events = [
            {"timestamp": str(1_767_323_045_000 + number), "level": level, "message": text, "stepKey": None}
            for number, (text, level) in enumerate(self.log)
        ]
        page = events[start : start + 2]
        end = start + len(page)
        found = {"cursor": str(end), "hasMore": end < len(events), "events": page}
        return 200, {"data": {"logsForRun": {"__typename": "EventConnection", **found}}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Without it a body waits for the acknowledgement of its headers, 40 ms.
    wbufsize = -1
    service: ClassVar[Service]

    def do_GET(self) -> None:
        self._answer(None)

    def do_DELETE(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        assert self.headers["Content-Type"] == "application/json"
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, body: dict[str, Any] | None) -> None:
        with self.service.lock:
            self.service.asked[f"{self.command} {urlsplit(self.path).path}"] += 1
            status, content = self._route(body)
            fault = self.service.faults.popleft() if self.service.faults else None
        if fault == DROP:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if isinstance(fault, int):
            status, content = fault, {"title": "fault", "detail": "a fault that the test asked for"}
        sent = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def _route(self, body: dict[str, Any] | None) -> tuple[int, object]:  # noqa: PLR0911 - a return a route
        split = urlsplit(self.path)
        parts = split.path.strip("/").split("/")
        match self.command, parts:
            case "GET", ["health"]:
                return 200, {"status": "ok"}
            case "POST", ["graphql"]:
                assert body is not None
                return self.service.graphql(body)
            case "POST", ["api", "v1", "jobs"]:
                assert body is not None
                return self.service.submit(body)
            case "GET", ["api", "v1", "jobs"]:
                return self.service.listed(parse_qs(split.query))
            case "GET", ["api", "v1", "jobs", job_id]:
                return self.service.look(job_id)
            case "DELETE", ["api", "v1", "jobs", job_id]:
                return self.service.cancel(job_id)
            case "GET", ["api", "v1", "results", fingerprint] if fingerprint in self.service.answers:
                return 200, self.service.answers[fingerprint]
        return 404, {"title": "Not Found", "status": 404, "detail": f"nothing at {split.path}"}


@contextmanager
def stand_in() -> Iterator[Service]:
    """Serve on a free port of loopback."""
    service = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": service}))
    service.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
