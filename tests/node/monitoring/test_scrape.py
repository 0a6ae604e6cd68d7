"""The text of all metrics, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.edges.websocket.in_memory import MemoryNode
from wampush.durations import Durations
from wampush.node.monitoring.metrics import METRICS
from wampush.node.monitoring.node_state import NodeState
from wampush.node.monitoring.replacements import Replacements
from wampush.node.monitoring.scrape import Metrics


def test_values_are_read_when_they_are_scraped() -> None:
    node = MemoryNode()
    reads: list[int] = []

    def connections() -> int:
        reads.append(1)
        return len(reads)

    metrics = Metrics(
        NodeState(
            broker=node.broker,
            durable=node.node.durable,
            backplane=node.node.backplane,
            backpressure=node.pressure,
            queued_limit=5000,
            connections=connections,
            http_connections=lambda: 3,
            backends=lambda: 4,
            redis=lambda: [{"redis": "a", "state": "connected"}],
            failed_tls_handshakes=lambda: 4,
            held_pushes=lambda: 0,
            push_ids=MemoryNode().node.acknowledged_pushes.ids,
            ready=lambda: {"websocket": True, "redis": False},
            replacements=Replacements(),
            worker=1,
            workers=1,
            loop_lag=Durations(),
            collector_pauses=Durations(),
        )
    )
    assert reads == []
    for count in (1, 2):
        families = list(text_string_to_metric_families(metrics.text().decode()))
        assert len(families) == len(METRICS)
        found = {each.name: each.samples[0].value for each in families if each.samples}
        assert found["wampush_connections"] == count
