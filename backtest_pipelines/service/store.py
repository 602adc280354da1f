"""``python -m backtest_pipelines.service.store``: makes Dagster's tables, or brings them to this version, alone.

Processes that open a new store at once would each create its tables and harm it.
"""

from __future__ import annotations

from dagster import DagsterInstance


def main() -> None:
    """Open each of the three storages, which creates it, and migrate what an older version made."""
    with DagsterInstance.get() as instance:
        _ = instance.run_storage, instance.event_log_storage, instance.schedule_storage
        instance.upgrade()


if __name__ == "__main__":
    main()
