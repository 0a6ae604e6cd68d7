"""The kinds of metrics, and how each becomes samples.

Owns: gauges, counters and histograms. Must not import: Twisted, ZeroMQ, the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, unique
from math import inf

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as Family

from wampush.durations import Durations
from wampush.node.monitoring.node_state import NodeState

#: The samples of a metric: the values of its labels, in their order, and the number.
Samples = Iterable[tuple[Sequence[str], float]]


@unique
class MetricKind(Enum):
    """How a value changes: a gauge goes up and down, all others only go up until a restart."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """A gauge or a counter.

    :param name: as Prometheus stores it, with its unit; a counter's name ends with ``_total``.
    :param kind: gauge or counter.
    :param labels: the names of its labels.
    :param documentation: its help text: one sentence.
    :param read: returns its samples.
    """

    name: str
    kind: MetricKind
    labels: tuple[str, ...]
    documentation: str
    read: Callable[[NodeState], Samples]

    def family(self, state: NodeState) -> Family:
        """Return the metric with its current samples, for prometheus_client to write."""
        family: CounterMetricFamily | GaugeMetricFamily
        if self.kind is MetricKind.COUNTER:
            name = self.name.removesuffix("_total")
            family = CounterMetricFamily(name, self.documentation, labels=self.labels)
        else:
            family = GaugeMetricFamily(self.name, self.documentation, labels=self.labels)
        for labels, value in self.read(state):
            family.add_metric(labels, value)
        return family


@dataclass(frozen=True, slots=True)
class Histogram:
    """A histogram of durations; Prometheus stores it as three metrics.

    :param name: with its unit; what is stored has ``_bucket``, ``_sum`` or ``_count`` after it.
    :param documentation: its help text: one sentence.
    :param read: returns the durations.
    """

    name: str
    documentation: str
    read: Callable[[NodeState], Durations]

    @property
    def kind(self) -> MetricKind:
        """A histogram."""
        return MetricKind.HISTOGRAM

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its labels; the bound of a bucket is not counted among them."""
        return ()

    def family(self, state: NodeState) -> Family:
        """Return the histogram as it is now, for prometheus_client to write."""
        durations = self.read(state)
        buckets = [
            ("+Inf" if bound == inf else f"{bound:g}", count)
            for bound, count in durations.cumulative()
        ]
        family = HistogramMetricFamily(self.name, self.documentation)
        family.add_metric((), buckets, durations.total)
        return family
