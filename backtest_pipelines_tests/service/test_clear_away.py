"""What a killed supervisor left is stopped in the order in which it would have been."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from backtest_pipelines.service.supervisor.installation import clear_away
from backtest_pipelines.service.supervisor.sessions import Leader
from backtest_pipelines.service.supervisor.state import ProcessState, SupervisorState, read_state

WORKER = """
import signal, sys, time
from pathlib import Path
import psutil
def end(*_):
    time.sleep(0.5)
    Path(sys.argv[1]).write_text(psutil.Process(int(sys.argv[2])).status())
    sys.exit()
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(60)
"""


@contextmanager
def session(*command: str) -> Iterator[tuple[subprocess.Popen[str], Leader]]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        try:
            yield process, Leader.of(process.pid)
        finally:
            process.kill()


def test_a_worker_ends_while_its_broker_is_there(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    with ExitStack() as stack:
        redis, redis_leader = stack.enter_context(session("sleep", "60"))
        command = (sys.executable, "-c", WORKER, str(seen), str(redis.pid))
        worker, worker_leader = stack.enter_context(session(*command))
        assert worker.stdout is not None
        assert worker.stdout.readline() == "up\n"
        processes = (
            ProcessState("redis", "up", 0, redis_leader),
            ProcessState("worker", "up", 0, worker_leader),
            ProcessState("api", "waiting", 0, None),
        )
        SupervisorState(Leader.of_this_process(), "", "", str(tmp_path / "sockets"), None, processes).write(tmp_path)
        assert clear_away(tmp_path) == 2
        assert seen.read_text() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
        assert (worker.wait(5), redis.wait(5)) == (0, -signal.SIGTERM)
    assert read_state(tmp_path) is None
