"""Metrics of several nodes together."""

from __future__ import annotations

from tests.node.monitoring.measured import state_of
from wampush.node.monitoring.nodes_metrics import NODES_METRICS
from wampush.testing import InMemoryBus, InMemoryServer


def values(server: InMemoryServer) -> dict[tuple[str, ...], float]:
    """Each sample by the name of its metric and its labels."""
    state = state_of(server)
    return {
        (metric.name.removeprefix("wampush_"), *labels): value
        for metric in NODES_METRICS
        for labels, value in metric.read(state)
    }


def test_every_node_shows_the_same_sums() -> None:
    bus = InMemoryBus()
    with InMemoryServer(bus=bus) as a, InMemoryServer(bus=bus) as b:
        a.settle()
        a.connect(user="7")
        b.connect(user="7")
        b.connect(user="8")
        b.connect()
        a.advance(1)
        for server in (a, b):
            found = values(server)
            assert found["all_sessions",] == 4
            assert found["all_users",] == 2
            assert found["nodes", "present"] == 2
            assert found["nodes", "departed"] == 0
        nodes = a._core.broker.nodes
        assert nodes is not None
        nodes.questions.ask("unknown", {}, lambda _: None)
        a.settle()
        assert values(a)["node_questions_incomplete_total",] == 1
        a.connect(user="\ud83d")
        assert values(a)["names_unsendable_total",] == 1
        assert values(a)["nodes_ignored_total",] == 0
        b.close()
        assert values(a)["nodes", "departed"] == 1


def test_a_single_node_shows_itself() -> None:
    with InMemoryServer() as server:
        server.connect(user="7")
        found = values(server)
        assert found["nodes", "present"] == 1
        assert (found["all_sessions",], found["all_users",]) == (1, 1)
        assert found["node_questions_incomplete_total",] == 0
