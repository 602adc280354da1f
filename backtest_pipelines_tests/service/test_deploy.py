"""What everybody runs and what a team runs differ in the storage alone."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]


def test_the_two_instance_files_differ_in_their_storage_alone() -> None:
    everybody = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    team = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text())
    assert team.pop("storage") == {"postgres": {"postgres_url": {"env": "BACKTEST_POSTGRES_URL"}}}
    assert team == everybody
