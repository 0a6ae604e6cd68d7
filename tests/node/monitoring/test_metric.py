"""The kinds of metrics, and how each becomes samples."""

from __future__ import annotations

from typing import Any

import pytest

from wampush.durations import BOUNDS, Durations
from wampush.node.monitoring.metric import Histogram, Metric, MetricKind, Samples


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


def test_a_histogram_has_buckets_a_sum_and_a_count() -> None:
    state: Any = Durations()
    for seconds in (0.0001, 0.3, 99.0):
        state.add(seconds)

    def read(durations: Any) -> Durations:
        assert isinstance(durations, Durations)
        return durations

    histogram = Histogram("wampush_delay_seconds", "Delays.", read)
    assert (histogram.kind, histogram.labels) == (MetricKind.HISTOGRAM, ())
    family = histogram.family(state)
    assert (family.name, family.type) == ("wampush_delay_seconds", "histogram")
    found = {(each.name, each.labels.get("le")): each.value for each in family.samples}
    assert len(found) == len(BOUNDS) + 3
    name = "wampush_delay_seconds"
    buckets = [found[f"{name}_bucket", le] for le in ("0.0001", "0.25", "0.5", "25", "+Inf")]
    assert buckets == [1, 1, 2, 2, 3]
    assert (found[f"{name}_sum", None], found[f"{name}_count", None]) == (99.3001, 3)
