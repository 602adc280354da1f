"""A worker with a connection to the broker that asks for nothing on it, as was seen after Redis had restarted."""

import sys
from pathlib import Path

from backtest_pipelines_tests.api.dagster_web import installation
from backtest_pipelines_tests.api.processes import running
from backtest_pipelines_tests.ports import free_port

DEAF = """
import sys
from kombu.transport import redis

listen, deaf = redis.Channel._brpop_start, []

def listen_on_a_second_connection(channel, *arguments, **named):
    if not deaf:
        deaf.append(channel)
    if channel is not deaf[0]:
        listen(channel, *arguments, **named)

redis.Channel._brpop_start = listen_on_a_second_connection
from backtest_pipelines.service.worker import main

sys.exit(main())
"""


def test_a_worker_that_hears_no_bell_connects_anew(tmp_path: Path) -> None:
    with installation(tmp_path / "home", free_port()) as service, service.web_server():
        log = service.api.home / "worker.log"
        with running([sys.executable, "-c", DEAF], service.api.home, log, service.environ):
            job = service.submit()
            ended = service.wait(job["job_id"], lambda job: job["status"] == "failed", 60)
        assert ended["error"]["type"] == "MissingDataError"
        assert "bells wait beside an idle child" in log.read_text()
