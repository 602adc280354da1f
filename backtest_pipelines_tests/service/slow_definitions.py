"""The project's definitions and, beside them, a job whose one step behaves as badly as its config says."""

import os
import signal
import time
from pathlib import Path

import dagster as dg

from backtest_pipelines import definitions
from backtest_pipelines.defs.failures import RETRY_WHEN_UNAVAILABLE, dagster_failures
from backtest_pipelines.errors import BadRequestError

JOB = "slow_job"
WITNESS = "witness"
"""Folder in the home: a file a run, with a line when its step begins, and one when it ends."""


class SlowConfig(dg.Config):
    seconds: float = 0.0
    deaf: bool = False
    fault: str = "none"
    says: str = ""


@dg.op(retry_policy=RETRY_WHEN_UNAVAILABLE)
def slow(context: dg.OpExecutionContext, config: SlowConfig) -> None:
    _witness(context.run_id, "begin")
    if config.says:
        context.log.info("log: %s", config.says)
        os.write(1, f"stdout: {config.says}\n".encode())
        os.write(2, f"stderr: {config.says}\n".encode())
    with dagster_failures():
        if config.fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if config.fault == "memory":
            raise MemoryError
        if config.fault == "request":
            raise BadRequestError("fault", "request", "none")
        if config.fault == "bug":
            raise ZeroDivisionError
        _sleep(config.seconds, deaf=config.deaf)
    _witness(context.run_id, "end")


def _sleep(seconds: float, *, deaf: bool) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        try:
            time.sleep(0.02)
        except dg.Failure:
            if not deaf:
                raise


def _witness(run_id: str, word: str) -> None:
    folder = Path(os.environ["BACKTEST_HOME"]) / WITNESS
    folder.mkdir(exist_ok=True)
    with (folder / run_id).open("a") as file:
        file.write(f"{word} {os.getpid()}\n")


@dg.job(name=JOB, executor_def=dg.in_process_executor)
def slow_job() -> None:
    slow()


defs = dg.Definitions.merge(definitions.defs(), dg.Definitions(jobs=[slow_job]))
