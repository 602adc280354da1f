"""`make demo`'s command: from a folder of files to the table, and an end that leaves no process behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from backtest_pipelines.panel.ingest import exchange_files, ingest
from backtest_pipelines.panel.store import PanelStore
from backtest_pipelines_tests.integration.dagster_servers import processes_naming, write_small_market
from backtest_pipelines_tests.servers import PATIENT

DEMO = [sys.executable, "-m", "backtest_pipelines.demo"]


def test_the_demo_answers_on_the_users_files_twice_and_stops_everything(tmp_path: Path) -> None:
    home, data = tmp_path / "home", tmp_path / "data"
    write_small_market(data)
    (data / "notes.txt").write_text("not a file of the exchange")
    (data / "fo03MAY2024bhav.csv").write_text("cut off")
    command = [*DEMO, "--home", str(home), "--data", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False, env=os.environ | PATIENT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bad file, left out: fo03MAY2024bhav.csv: holds no row" in done.stdout
    for variant in ("call_sell_future_buy_weekly", "call_sell_future_buy_t1", "call_sell_future_buy_t2"):
        (row,) = (line for line in done.stdout.splitlines() if variant in line)
        assert re.search(r"NIFTY .* s \(\d+ ms\) .* s \(\d+ ms\) │\s+redis │\s+\d+ │\s+-?[\d,]+\.\d\d", row), row
    assert f"make dev DATA={data}" in done.stdout
    assert processes_naming(home) == []


def test_interrupting_the_demo_stops_everything(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with subprocess.Popen([*DEMO, "--home", home], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as child:
        try:
            deadline = time.monotonic() + 60
            while not (home / "logs" / "web.log").is_file():
                assert child.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert len(processes_naming(home)) >= 4  # the demo, Redis, and more that starts
        finally:
            child.send_signal(signal.SIGINT)
            output, _ = child.communicate(timeout=60)
    assert child.returncode == 130, output
    assert b"everything was stopped" in output
    assert processes_naming(home) == []


def test_invented_and_true_prices_never_meet_in_one_home(tmp_path: Path) -> None:
    home, data = tmp_path / "home", tmp_path / "data"
    write_small_market(home / "sample")
    write_small_market(data)
    done = refused("--home", home, "--data", data)
    assert "it holds the invented sample market: name another for --data" in done
    own = tmp_path / "own"
    ingest(exchange_files(data), PanelStore(own / "panel"))
    assert "it holds ingested files: name another for the sample market" in refused("--home", own)


def refused(*arguments: str | Path) -> str:
    done = subprocess.run([*DEMO, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2, done.stdout + done.stderr
    return " ".join(done.stdout.split())
