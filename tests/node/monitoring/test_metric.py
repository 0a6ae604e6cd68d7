"""The kinds of metrics, and how each becomes samples."""

from __future__ import annotations

from typing import Any

import pytest

from wampush.node.monitoring.metric import Metric, MetricKind, Samples


@pytest.mark.parametrize(
    ("kind", "name"), [(MetricKind.GAUGE, "wampush_things"), (MetricKind.COUNTER, "wampush_total")]
)
def test_a_metric_reads_its_samples(kind: MetricKind, name: str) -> None:
    state: Any = {"a": 3, "b": 4}

    def read(things: Any) -> Samples:
        return [((key,), value) for key, value in things.items()]

    metric = Metric(name, kind, ("of",), "Things.", read)
    family = metric.family(state)
    assert (family.type, family.documentation) == (kind.value, "Things.")
    assert [(each.name, each.labels, each.value) for each in family.samples] == [
        (name, {"of": "a"}, 3),
        (name, {"of": "b"}, 4),
    ]
