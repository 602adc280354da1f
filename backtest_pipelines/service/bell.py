"""The bell: an empty Celery task that wakes an idle worker. It carries nothing.

Whoever can write to the broker can make workers look at the queue, and nothing else. A bell may be lost, doubled or
late: the claims decide who runs what, and a sweep rings again.
"""

from __future__ import annotations

import logging
import time
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from celery import Celery
from dagster_celery.make_app import make_app_with_task_routes
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from backtest_pipelines.errors import BadRequestError
from backtest_pipelines.executions.settings import Settings
from backtest_pipelines.results.redis_cache import RedisSettings

logger = logging.getLogger(__name__)

TASK = "backtest_pipelines.bell"
PAUSE_S = 1.0
"""After a failure the broker is left alone for so long: the sweep rings meanwhile."""
SWEPT_EXPIRES_S = 5.0


def celery_app(settings: Settings) -> Celery:
    """Return the Celery app of an installation: one queue, early acknowledgement, no results.

    Raises
    ------
    BadRequestError
        If the settings name no Redis.
    """
    if settings.redis is None:
        raise BadRequestError("REDIS_URL", None, "a Redis or Valkey is needed as the broker of the workers")
    queue = queue_name(settings.database)
    app = make_app_with_task_routes(
        task_routes={TASK: {"queue": queue}}, app_args={"broker": broker_url(settings.redis)}
    )
    app.conf.update(
        task_queues=[Queue(queue)],  # type: ignore[no-untyped-call]
        task_default_queue=queue,
        # A queue with priorities would be ten lists in Redis; priorities are Dagster's.
        task_queue_max_priority=None,
        task_default_priority=None,
        task_ignore_result=True,
        task_acks_late=False,
        broker_connection_timeout=1,
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            "socket_timeout": 1,
            "socket_connect_timeout": 0.3,
            "socket_keepalive": True,
            "health_check_interval": 5,
            "max_retries": 0,
        },
    )
    return app


def queue_name(database: Path | str) -> str:
    """Return the queue of an installation, so that several can share a broker.

    Machines may know one Postgres by different host names: its port and database name tell it apart.
    """
    if isinstance(database, Path):
        identity = str(database)
    else:
        parts = urlsplit(database)
        identity = f"{parts.port or 5432}{parts.path}"
    return f"backtest:bell:{sha256(identity.encode()).hexdigest()[:12]}"


def broker_url(redis: RedisSettings) -> str:
    """Return the address of Redis in Celery's spelling."""
    if redis.url is None:
        return f"redis://{redis.host}:{redis.port}/{redis.db}"
    if redis.url.startswith("unix://"):
        path, _, query = redis.url.removeprefix("unix://").partition("?")
        db = next((part.removeprefix("db=") for part in query.split("&") if part.startswith("db=")), "0")
        return f"redis+socket://{path}?virtual_host={db}"
    return redis.url


class Bell:
    """Rings, and never fails or waits for long: a bell that is not heard costs a second.

    Parameters
    ----------
    app : Celery
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._silent_until = 0.0

    def ring(self, *, expires_s: float | None = None) -> None:
        """Wake an idle worker, if one hears it within some seconds."""
        if time.monotonic() < self._silent_until:
            return
        try:
            self._app.send_task(TASK, retry=False, ignore_result=True, expires=expires_s)
        except (OperationalError, RedisError, OSError) as error:
            self._silent_until = time.monotonic() + PAUSE_S
            logger.warning("The broker did not take a bell (%s); the sweep will ring", error)

    def waiting(self) -> int:
        """Return how many bells nobody has heard yet.

        Raises
        ------
        OperationalError, RedisError
            If the broker does not answer.
        """
        with self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=1)
            client = connection.default_channel.client
            return int(client.llen(self._app.conf.task_default_queue))
