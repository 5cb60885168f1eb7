"""Alert rules and dashboard ask for metrics that there are, and the runbook answers them."""

import json
import re
from pathlib import Path

import pytest
import yaml

from daybook.facts import Facts
from daybook.metrics import Metrics

ROOT = Path(__file__).parents[2]
NAME = re.compile(r"daybook_[a-z_]+")


def asked_for() -> set[str]:
    """Return the metrics that rules and panels name."""
    rules = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())
    dashboard = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
    lines = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    lines += [one["expr"] for panel in dashboard["panels"] for one in panel["targets"]]
    return {name for line in lines for name in NAME.findall(line)}


def test_every_metric_that_is_asked_for_exists(database_url: str) -> None:
    text = Metrics().rendered(Facts(database_url)).decode()
    families = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    ends = ("total", "count", "bucket")
    found = families | {f"{name}_{end}" for name in families for end in ends}
    assert asked_for() <= found
    assert len(asked_for()) > 12


def test_every_alert_has_its_place_in_the_runbook() -> None:
    rules = yaml.safe_load((ROOT / "deploy" / "alerts.yaml").read_text())
    text = (ROOT / "docs" / "operations.md").read_text()
    places = {
        re.sub(r"[^a-z-]", "", title.lower().replace(" ", "-"))
        for title in re.findall(r"^## (.*)$", text, re.MULTILINE)
    }
    for group in rules["groups"]:
        for rule in group["rules"]:
            page, _, place = rule["annotations"]["runbook"].partition("#")
            assert (page, place in places) == ("docs/operations.md", True), rule["alert"]


@pytest.mark.parametrize("name", ["alerts.yaml", "grafana-dashboard.json"])
def test_what_is_shipped_names_no_place(name: str) -> None:
    assert "http" not in (ROOT / "deploy" / name).read_text().replace("daybook_http", "")
