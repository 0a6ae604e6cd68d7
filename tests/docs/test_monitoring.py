"""The alerts and the dashboard: metrics and labels in them exist, the guide explains each alert."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.daemon import Daemon
from tests.support.waiting import PATIENCE
from wampush.broker.ledger import Source
from wampush.node.monitoring.metric import Histogram
from wampush.node.monitoring.metrics import METRICS
from wampush.reasons import CloseReason

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "howto" / "monitor.md").read_text(encoding="utf-8")
GROUPS = yaml.safe_load((ROOT / "deploy/prometheus/wampush-alerts.yaml").read_text("utf-8"))
ALERTS = [rule for group in GROUPS["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((ROOT / "deploy/grafana/wampush-dashboard.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

#: What Prometheus adds to each sample of a scrape.
ADDED = {"instance", "job"}
WORDS = {"and", "by", "offset", "unless"}
FUNCTIONS = {
    "avg_over_time",
    "histogram_quantile",
    "increase",
    "max",
    "min",
    "min_over_time",
    "rate",
    "resets",
    "sum",
}
VALUES = {
    "source": {source.value for source in Source},
    "reason": {reason.code for reason in CloseReason},
}

LABELS = {
    name: {*each.labels, *ADDED, *(("le",) if name.endswith("_bucket") else ())}
    for each in METRICS
    for name in (
        [each.name + suffix for suffix in ("_bucket", "_sum", "_count")]
        if isinstance(each, Histogram)
        else [each.name]
    )
} | {"up": ADDED}


def dashboard_expressions() -> Iterator[str]:
    """The queries of the dashboard."""
    for panel in PANELS:
        for target in panel["targets"]:
            yield target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["expr"]


EXPRESSIONS = [*(rule["expr"] for rule in ALERTS), *dashboard_expressions()]


def metrics_of(expression: str) -> set[str]:
    """The names in an expression that are neither functions nor words of PromQL."""
    # Ranges, strings with what they are compared with, and lists of labels.
    bare = re.sub(r"\[[^\]]*\]|\{[^}]*\}|\bby \([^)]*\)|\boffset \w+", " ", expression)
    return set(re.findall(r"[a-z_]\w*", bare)) - FUNCTIONS - WORDS


def test_every_metric_is_in_a_scrape(daemon: Daemon) -> None:
    with urllib.request.urlopen(f"{daemon.http_url}/metrics", timeout=PATIENCE) as response:
        text = response.read().decode()
    exported = set()
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE):
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        exported |= {name + suffix for suffix in suffixes}
    used = set().union(*map(metrics_of, EXPRESSIONS))
    assert used - exported == {"up"}
    assert len(used) > 30


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_uses_labels_and_values_that_exist(expression: str) -> None:
    assert expression.count("(") == expression.count(")")
    assert metrics_of(expression) <= LABELS.keys()
    for metric, matchers in re.findall(r"(\w+)\{([^}]*)\}", expression):
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', matchers):
            assert label in LABELS[metric], metric
            if label in VALUES:
                assert set(values.split("|")) <= VALUES[label]
    known = set().union(*(LABELS[name] for name in metrics_of(expression)))
    for labels in re.findall(r"\bby \(([^)]*)\)", expression):
        assert set(labels.split(", ")) <= known


def test_a_wrong_name_would_be_found() -> None:
    assert metrics_of('sum by (le) (rate(wampush_typo{a="b"}[5m])) > 0.5 * up offset 10m') == {
        "wampush_typo",
        "up",
    }


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_an_alert_is_complete(rule: dict[str, Any]) -> None:
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"Wampush[A-Za-z]+", rule["alert"])
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert re.fullmatch(r"\d+[sm]", rule.get("for", "1m"))
    # Labels that an aggregation has removed would be empty in the message.
    kept = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
    known = set().union(*(LABELS[name] for name in metrics_of(rule["expr"])))
    left = set(kept[0].split(", ")) - {"le"} if kept else known
    shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
    assert "instance" in shown
    assert shown <= left


def test_the_guide_explains_every_alert_and_no_other() -> None:
    explained = re.findall(r"^\| `(Wampush\w+)` \| (\w+) \|", GUIDE, re.MULTILINE)
    assert explained == [(rule["alert"], rule["labels"]["severity"]) for rule in ALERTS]


def test_panels_have_a_source_and_say_what_they_show() -> None:
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {
        "datasource",
        "instance",
    }
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == source
        for target in panel["targets"]:
            assert target["datasource"] == source
            assert 'instance=~"$instance"' in target["expr"]
            known = set().union(*(LABELS[name] for name in metrics_of(target["expr"])))
            assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= known


def test_panels_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for one, other in combinations(places, 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
