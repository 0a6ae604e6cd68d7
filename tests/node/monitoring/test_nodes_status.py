"""The nodes, as a health check shows them."""

from __future__ import annotations

from wampush.node.monitoring.nodes_status import nodes_status
from wampush.testing import InMemoryBus, InMemoryServer


def test_all_nodes_are_shown() -> None:
    bus = InMemoryBus()
    with (
        InMemoryServer(bus=bus, name="a") as a,
        InMemoryServer(bus=bus, name="b") as b,
        InMemoryServer(bus=bus, name="c") as c,
    ):
        a.settle()
        nodes = b._core.broker.nodes
        assert nodes is not None
        nodes.show("connections", lambda: 5)
        a.connect(user="7")
        b.connect(user="7")
        b.connect()
        for _ in range(5):
            a.advance(0.5)
        c.close()
        status = nodes_status(a._core.broker, a.clock.seconds())
        assert status["node"] == "a"
        assert status["all"] == {"nodes": 2, "sessions": 3, "users": 1}
        shown = status["nodes"]
        assert isinstance(shown, list)
        assert [(each["node"], each["status"], each["sessions"]) for each in shown] == [
            ("a", "here", 1),
            ("b", "present", 2),
            ("c", "departed", 0),
        ]
        assert [each["connections"] for each in shown] == [None, 5, None]
        assert shown[1]["version"] == shown[0]["version"]
        assert shown[1]["heard"] <= 2


def test_a_single_node_says_nothing_of_nodes() -> None:
    with InMemoryServer() as server:
        assert nodes_status(server._core.broker, 0.0) == {}
