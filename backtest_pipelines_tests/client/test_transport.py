"""Lost connections, a service that is away, and many threads on one client."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest

from backtest_pipelines.client import Client
from backtest_pipelines.errors import BadRequestError, BugError, UnavailableError
from backtest_pipelines_tests.client.stand_in import DROP, Service
from backtest_pipelines_tests.client.test_jobs import WEEKLY


@pytest.mark.parametrize("fault", [DROP, 429, 502, 503])
def test_a_submission_whose_reply_is_lost_is_sent_again_and_is_one_job(
    service: Service, client: Client, fault: str | int
) -> None:
    service.faults.extend([fault, fault])
    job = client.submit(WEEKLY)
    assert service.asked["POST /api/v1/jobs"] == 3
    assert list(service.jobs) == [job.job_id]


@pytest.mark.parametrize("fault", [500, 400, 403])
def test_other_statuses_are_not_tried_again(service: Service, client: Client, fault: int) -> None:
    service.faults.append(fault)
    with pytest.raises(BugError if fault == 500 else BadRequestError, match="a fault that the test asked for"):
        client.submit(WEEKLY)
    assert service.asked["POST /api/v1/jobs"] == 1


def test_a_service_that_stays_away_is_given_up_after_the_time(service: Service) -> None:
    service.faults.extend([503] * 100)
    start = time.monotonic()
    with Client(service.url, retry_s=0.5) as client, pytest.raises(UnavailableError, match="a fault that the test"):
        client.jobs()
    assert time.monotonic() - start < 2
    assert 3 <= service.asked["GET /api/v1/jobs"] <= 6


def test_nobody_listening_names_the_address_and_the_reason() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with Client(url, retry_s=0.1) as client, pytest.raises(UnavailableError, match=f"{url} .*refused"):
            client.jobs()


def test_a_service_that_hangs_is_given_up_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        start = time.monotonic()
        with Client(url, timeout_s=0.3, retry_s=0) as client, pytest.raises(UnavailableError, match="timed out"):
            client.jobs()
        assert time.monotonic() - start < 2


def test_another_program_at_the_address_is_recognised() -> None:
    def answer_html(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>")

    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = Thread(target=answer_html, args=(other,))
        thread.start()
        with (
            Client(f"http://127.0.0.1:{other.getsockname()[1]}") as client,
            pytest.raises(UnavailableError, match="does not answer as this service does"),
        ):
            client.job("x")
        thread.join()


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host", "http://", "http://host:port", "http://host/?x=1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(BadRequestError, match="allowed: an address such as"):
        Client(url)


def test_threads_share_a_client_and_equal_request_ids_are_one_job(service: Service, client: Client) -> None:
    service.faults.extend([DROP, 503] * 5)
    with ThreadPoolExecutor(8) as pool:
        jobs = list(pool.map(lambda number: client.submit(WEEKLY, request_id=f"{number % 5}"), range(80)))
    assert len({job.job_id for job in jobs}) == 5
    assert sorted(service.jobs) == sorted({job.job_id for job in jobs})
