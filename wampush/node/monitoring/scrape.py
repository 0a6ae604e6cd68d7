"""The text of all metrics, as Prometheus reads it.

Owns: the registry. Must not import: Twisted, ZeroMQ, the edges.

Metrics are in a registry of their own. The global one of prometheus_client would add metrics of the
process and of Python, and any library in the same process could add more.
"""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from wampush.node.monitoring.metrics import METRICS
from wampush.node.monitoring.node_state import NodeState


class _Scrape(Collector):
    def __init__(self, state: NodeState) -> None:
        self._measured = state

    def describe(self) -> Iterator[Family]:
        """Return nothing, so that registering reads no values."""
        return iter(())

    def collect(self) -> Iterator[Family]:
        """Yield all metrics with their current samples."""
        for metric in METRICS:
            yield metric.family(self._measured)


class Metrics:
    """The metrics of a node.

    :param state: what they are read from.
    """

    def __init__(self, state: NodeState) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Scrape(state))

    def text(self) -> bytes:
        """Return a scrape in the text format of Prometheus, version 0.0.4."""
        return generate_latest(self._registry)
