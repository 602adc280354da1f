"""From a job to a run of Dagster, whatever fails on the way, and from the run's end to the job's.

A launch may be tried again whenever it is not known to have worked: the queue attaches one run to a job and cancels
every other before it can start.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Annotated, Final

from fastapi import Depends, Request

from backtest_pipelines.api.ending import end_job
from backtest_pipelines.api.job_request import run_config
from backtest_pipelines.api.job_views import ended_state, run_states
from backtest_pipelines.api.services import Services
from backtest_pipelines.api.trouble import Trouble, again_and_again
from backtest_pipelines.api.web_server import NoAnswerError
from backtest_pipelines.errors import BugError, UnavailableError
from backtest_pipelines.graphql import documents, names, replies
from backtest_pipelines.graphql.replies import RunState
from backtest_pipelines.records.jobs import Job

logger = logging.getLogger(__name__)

WAIT_S: Final = 2.0
"""How long a caller waits for the launch of its job, which then goes on by itself."""
FINISH_S: Final = 1.0
LAUNCHES_AT_ONCE: Final = 4
"""More would not be faster: the web server takes its time for each."""
LOOK_AFTER_EACH_S: Final = 1.0
LOAD_SHARE: Final = 0.2
"""Most of its time that may go into looking after jobs, however many are open."""
LOOK_AFTER_AT_LEAST_EACH_S: Final = 5.0
"""Time that went into waiting for a web server that has just come back is no reason to look again much later."""
UNLAUNCHED_AFTER_S: Final = 3.0
"""From this age on a job that is not known to be launched is launched again."""
STUCK_AFTER_S: Final = 10.0
"""A run that is not queued at this age was left behind by a web server that ended while launching it."""
UNDECIDED_S: Final = 60.0
"""Dagster notes a moment after a failure whether it tries the run again; its daemon does so, if it must start first."""
PRUNE_EACH_S: Final = 60.0


class Launcher:
    """Launches and cancels the runs of jobs, and looks after those that others left behind.

    Parameters
    ----------
    services : Services
    keep_s : float
        How long an ended job is kept.
    """

    def __init__(self, services: Services, keep_s: float) -> None:
        self._services = services
        self._keep_s = keep_s
        self._slots = asyncio.Semaphore(LAUNCHES_AT_ONCE)
        self._launching: dict[str, asyncio.Task[None]] = {}
        self._trouble = Trouble(logger, "not all jobs can be looked after just now", "jobs are looked after again")
        self._pruned_s = 0.0

    async def launch(self, job: Job) -> None:
        """Launch the run of a job; return when it is launched, or cannot be just now, or takes long."""
        await asyncio.wait([self._task(job)], timeout=WAIT_S)

    async def cancel(self, job: Job) -> None:
        """Stop the run of a job whose cancelling is on record, or end the job when it has none.

        Raises
        ------
        UnavailableError
            If the web server does not answer; `look_after` tries again.
        """
        if job.run_id is None:
            await end_job(self._services, job, "cancelled", None)
            return
        reply = await self._services.web.ask(documents.TERMINATE, run=job.run_id, policy="SAFE_TERMINATE")
        if refusal := replies.refusal(reply):
            logger.info("run %s of job %s is not terminated: %s", job.run_id, job.job_id, refusal)

    async def look_after(self) -> None:
        """Each second: launch what was not launched, cancel what was to be cancelled, note what has ended."""
        await again_and_again(self._look_at_all, self._trouble, _pause_s)

    async def finish(self) -> None:
        """Give the launches under way a moment; what is not done then is launched again at the next start."""
        if self._launching:
            await asyncio.wait(self._launching.values(), timeout=FINISH_S)

    async def _look_at_all(self) -> str:
        trouble = await self._launch_left_behind()
        await self._look_at_open()
        if time.monotonic() - self._pruned_s > PRUNE_EACH_S:
            await self._services.call(self._services.jobs.prune, self._keep_s)
            self._pruned_s = time.monotonic()
        return trouble

    def _task(self, job: Job) -> asyncio.Task[None]:
        task = self._launching.get(job.job_id)
        if task is None:
            task = self._launching[job.job_id] = asyncio.create_task(self._try_to_launch(job))
            task.add_done_callback(lambda _: self._launching.pop(job.job_id))
        return task

    async def _try_to_launch(self, job: Job) -> None:
        try:
            async with self._slots:
                await self._launch(job)
        except NoAnswerError:
            pass  # who asks the web server says so
        except UnavailableError as error:
            logger.warning("job %s waits for its launch: %s", job.job_id, error)

    async def _launch(self, job: Job) -> None:
        asked = json.loads(job.request)
        execution = documents.execution(
            f"{job.variant}_job", job.symbol, run_config(asked), {names.JOB_ID_TAG: job.job_id}
        )
        try:
            replies.launched(await self._services.web.ask(documents.LAUNCH, execution=execution))
        except BugError:
            logger.exception("job %s cannot be launched", job.job_id)
            await end_job(self._services, job, "failed", None)
        else:
            # The queue attached the run, unless the job gave it up meanwhile: then it waits for a launch again.
            current = await self._services.call(self._services.jobs.get, job.job_id)
            if current is not None and current.run_id is not None:
                await self._services.call(self._services.jobs.mark_launched, job.job_id)

    async def _launch_left_behind(self) -> str:
        """Launch each job that waits for it; return why one still does. That one keeps no other from its launch."""
        trouble = ""
        for job in await self._services.call(self._services.jobs.unlaunched, UNLAUNCHED_AFTER_S):
            if job.run_id is not None:
                await self._services.call(self._services.jobs.mark_launched, job.job_id)
            elif job.cancel_requested:
                await self.cancel(job)
            elif job.job_id not in self._launching:
                try:
                    await self._launch(job)
                except NoAnswerError:
                    raise
                except UnavailableError as error:
                    trouble = f"job {job.job_id} waits for its launch: {error}"
        return trouble

    async def _look_at_open(self) -> None:
        jobs = [job for job in await self._services.call(self._services.jobs.open) if job.run_id]
        runs = await run_states(self._services, jobs)
        for job in jobs:
            run = runs.get(job.run_id or "")
            if run and _is_undecided(run):
                continue
            if ended := ended_state(job, run):
                await end_job(self._services, job, ended, run)
            elif run:
                await self._look_at(job, run)

    async def _look_at(self, job: Job, run: RunState) -> None:
        is_old = time.time() - run.created_at_s > STUCK_AFTER_S
        if run.status == "NOT_STARTED" and is_old and job.job_id not in self._launching:
            logger.warning("run %s of job %s was never queued: another takes its place", run.run_id, job.job_id)
            await self._services.call(self._services.jobs.detach, job.job_id, run.run_id)
            await self._services.web.ask(documents.TERMINATE, run=run.run_id, policy="MARK_AS_CANCELED_IMMEDIATELY")
        elif job.cancel_requested and run.status != "CANCELING":
            await self.cancel(job)


async def _of_request(request: Request) -> Launcher:
    launcher: Launcher = request.state.launcher
    return launcher


WithLauncher = Annotated[Launcher, Depends(_of_request)]
"""Type of a route's parameter that is given the launcher."""


def _pause_s(took_s: float) -> float:
    return min(max(LOOK_AFTER_EACH_S, took_s / LOAD_SHARE), LOOK_AFTER_AT_LEAST_EACH_S)


def _is_undecided(run: RunState) -> bool:
    """Say whether a run has failed, and may be tried again, which would be refused once its job had failed."""
    failed_just_now = run.status == "FAILURE" and time.time() - (run.ended_at_s or run.created_at_s) < UNDECIDED_S
    return failed_just_now and names.WILL_RETRY_TAG not in run.tags
