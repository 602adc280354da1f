"""Children that end when they should, and those that would rather not."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backtest_pipelines.errors import UnavailableError
from backtest_pipelines.service import processes as subject
from backtest_pipelines.service.processes import Processes


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def started(path: Path) -> int:
    """Wait for a child's note of a process id."""
    deadline = time.monotonic() + 10
    while not (path.is_file() and path.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(path.read_text())


def test_a_child_that_ends_with_an_error_is_named_with_its_log(tmp_path: Path) -> None:
    with Processes(os.environ, tmp_path) as children:
        children.start("store", python("print('no disk'); raise SystemExit(3)"))
        with pytest.raises(UnavailableError, match=r"store ended with status 3; see .*store\.log"):
            children.finish("store", 10)
    assert (tmp_path / "store.log").read_text() == "no disk\n"


def test_a_child_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with Processes(os.environ, tmp_path) as children:
        child = children.start("web", python("import time; time.sleep(60)"))
        with pytest.raises(UnavailableError, match="web did not answer within 0 s"):
            children.wait_until("web", lambda: False, 0.2)
    assert child.returncode is not None


def test_a_child_that_dies_while_another_is_waited_for_is_told_at_once(tmp_path: Path) -> None:
    with Processes(os.environ, tmp_path) as children:
        children.start("redis", python("raise SystemExit(1)"))
        children.start("web", python("import time; time.sleep(60)"))
        with pytest.raises(UnavailableError, match="redis ended with status 1"):
            children.wait_until("web", lambda: False, 30)


def test_what_will_not_end_is_killed_with_its_own_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "STOP_S", 0.5)
    note = tmp_path / "pid"
    code = (
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"pid = os.fork()\nif pid: pathlib.Path({str(note)!r}).write_text(str(pid))\n"
        "time.sleep(60)\n"
    )
    with Processes(os.environ, tmp_path) as children:
        child = children.start("stubborn", python(code))
        grandchild = started(note)
    assert child.returncode == -9
    deadline = time.monotonic() + 5
    while is_alive(grandchild) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_alive(grandchild) or "Z" in Path(f"/proc/{grandchild}/stat").read_text().split()[2]


def test_all_are_asked_to_end_at_once(tmp_path: Path) -> None:
    code = "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: time.sleep(0.7)"
    with Processes(os.environ, tmp_path) as children:
        for number in range(3):
            children.start(f"child{number}", python(f"print('up', flush=True)\n{code}"))
        logs = [tmp_path / f"child{number}.log" for number in range(3)]
        children.wait_until("child2", lambda: all(log.read_text() for log in logs), 10)
        start = time.monotonic()
    assert time.monotonic() - start < 1.6


def test_started_in_the_background_of_a_shell_it_still_ends_on_sigint(tmp_path: Path) -> None:
    inner = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    code = (
        "import subprocess, sys\n"
        "from backtest_pipelines.service.processes import stop_on_signals\n"
        "stop_on_signals()\n"
        f"{inner}\n"
        f"print(subprocess.run([sys.executable, '-c', {inner!r}], capture_output=True, text=True).stdout)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    shell = f"'{sys.executable}' '{script}' & wait"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "True"]
