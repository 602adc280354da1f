"""``backtest-pipelines status``: the processes of an installation, the workers and what they execute."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from typing import TYPE_CHECKING

from backtest_pipelines.executions.settings import settings_from

if TYPE_CHECKING:
    from backtest_pipelines.cli.screen import Screen
    from backtest_pipelines.records.workers import Worker
    from backtest_pipelines.service.supervisor.status import ProcessStatus

HELP = "Show what runs on the home folder"
EXAMPLES = "example: backtest-pipelines status --json"
NOT_UP = 1


def configure(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no arguments of its own."""


def command(arguments: argparse.Namespace, screen: Screen) -> int:
    """Show the state, and return 0 where everything is up."""
    from backtest_pipelines.records.database import Database  # noqa: PLC0415 - this command alone
    from backtest_pipelines.records.workers import Workers  # noqa: PLC0415
    from backtest_pipelines.service.supervisor.status import process_statuses, running_state  # noqa: PLC0415

    settings = settings_from(os.environ, home=arguments.home)
    state = running_state(settings.home)
    if state is None:
        if screen.as_json:
            screen.json({"running": False, "up": False, "url": None, "processes": [], "workers": []})
        else:
            screen.line(f"nothing runs on {settings.home}")
        return NOT_UP
    processes = process_statuses(state)
    with Database(settings.database) as database:
        workers = Workers(database).alive()
    is_up = all(process.is_up for process in processes)
    if screen.as_json:
        content = {
            "running": True,
            "up": is_up,
            "url": state.url,
            "processes": [asdict(process) for process in processes],
            "workers": [_worker(worker) for worker in workers],
        }
        screen.json(content)
    else:
        _show(state.url, processes, workers, screen)
    return 0 if is_up else NOT_UP


def _worker(worker: Worker) -> dict[str, object]:
    return {**asdict(worker), "started_at": worker.started_at.isoformat()}


def _show(url: str, processes: list[ProcessStatus], workers: list[Worker], screen: Screen) -> None:
    columns = ("name", "pid", "state", "uptime", "restarts", "memory, MB")
    rows = [
        (
            process.name,
            _text(process.pid),
            process.state,
            "-" if process.uptime_s is None else _duration(process.uptime_s),
            str(process.restarts),
            _text(process.memory_mb),
        )
        for process in processes
    ]
    screen.table(url, columns, rows)
    executing = [(worker.host, str(worker.pid), worker.run_id or "idle") for worker in workers]
    screen.table("Workers", ("host", "pid", "run"), executing)


def _text(value: float | None) -> str:
    return "-" if value is None else str(value)


def _duration(seconds: float) -> str:
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
