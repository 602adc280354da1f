"""``python -m backtest_pipelines.service.prune``: prunes Dagster's runs for the command, which does not know Dagster.

On stdin it is given JSON, ``{"limits": {...}, "dry_run": true}``, on stdout it answers with a list of what was pruned.
"""

from __future__ import annotations

import json
import os
import sys

import dagster as dg

from backtest_pipelines.defs.run_pruning import prune_runs
from backtest_pipelines.executions.settings import settings_from
from backtest_pipelines.records.database import Database
from backtest_pipelines.retention.limits import RetentionLimits


def main() -> None:
    """Prune the runs of DAGSTER_HOME."""
    asked = json.load(sys.stdin)
    settings = settings_from(os.environ)
    with dg.DagsterInstance.get() as instance, Database(settings.database) as database:
        pruned = prune_runs(instance, database, RetentionLimits(**asked["limits"]), dry_run=asked["dry_run"])
    json.dump([kind.content() for kind in pruned], sys.stdout)


if __name__ == "__main__":
    main()
