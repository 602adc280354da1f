"""The dashboard for Grafana and the configuration of Prometheus: what they ask for is what the service offers."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from backtest_pipelines.api.metric_families import Families, Reading, Recorded
from backtest_pipelines.executions.cache import Held
from backtest_pipelines.records.buckets import bucket
from backtest_pipelines.records.totals import Total
from backtest_pipelines.records.workers import Worker
from backtest_pipelines_tests.docs.markdown import DOCS

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "backtest-pipelines.json").read_text(encoding="utf-8"))
PAGE = DOCS / "how-to" / "monitor-the-service.md"
FUNCTIONS = {"sum", "by", "rate", "increase", "histogram_quantile", "time", "on", "and"}
ADDED = {"instance"}
"""Labels that Prometheus adds."""
EPOCH = datetime.fromtimestamp(0, UTC)


def expressions() -> list[str]:
    from_page = re.findall(
        r"^\| [^|]* \| `(.*)` \|$", (DOCS / "how-to" / "monitor-the-service.md").read_text(), re.MULTILINE
    )
    assert len(from_page) == 5
    return [*(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]), *from_page]


@pytest.fixture(scope="module")
def offered() -> dict[str, set[str]]:
    """Return the labels of each sample that Prometheus would keep."""
    recorded = Recorded(
        totals=[Total("v", "cli", "completed", "none", bucket(1.0), 1, 1.0, 1.0, 1.0, EPOCH)],
        held=Held({}, 1.0, 1.0),
        open_jobs=1,
        workers=[Worker("a", "here", 1, None, 0.0, EPOCH)],
    )
    reading = Reading({"redis": "up"}, recorded, {("GET", 200): 1}, 1)
    families = text_string_to_metric_families(generate_latest(Families(reading)).decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_uses_metrics_and_labels_that_exist(expression: str, offered: dict[str, set[str]]) -> None:
    plain = re.sub(r"\[[^]]*\]", "", expression)
    selected = set(re.findall(r"(\w+)=~?\"", plain))
    grouped = {name for group in re.findall(r"(?:by|on) \(([^)]*)\)", plain) for name in group.split(", ")}
    words = set(re.findall(r"[a-z_]{2,}", re.sub(r"\{[^}]*\}|(?:by|on) \([^)]*\)", "", plain))) - FUNCTIONS
    assert words
    assert words - set(offered) == set()
    assert (selected | grouped) - set().union(ADDED, *(offered[name] for name in words)) == set()


def test_the_dashboard_asks_one_server_of_one_prometheus_and_its_panels_have_places_of_their_own() -> None:
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"source", "instance"}
    for panel in panels:
        assert panel["datasource"]["uid"] == "${source}"
        for target in panel["targets"]:
            assert target["expr"].count("backtest_") + target["expr"].count("process_") == target["expr"].count(
                '{instance="$instance"'
            )
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) == 23


def test_the_page_shows_the_configuration_as_it_is() -> None:
    text = (ROOT / "deploy" / "prometheus.yml").read_text(encoding="utf-8")
    (job,) = yaml.safe_load(text)["scrape_configs"]
    assert job["authorization"] == {"credentials_file": "backtest-pipelines.token"}
    shown = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert shown in PAGE.read_text(encoding="utf-8")
