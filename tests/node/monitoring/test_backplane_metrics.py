"""The metrics of what joins a node to others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from tests.broker.backplane.nodes import World
from wampush.node.monitoring.backplane_metrics import BACKPLANE_METRICS

#: Of topics without history.
PLAIN = {"topics": 0, "under_way": 0, "unknown_total": 0}
#: Of topics with history.
NOTHING = dict.fromkeys(
    (
        "mirrors",
        "waiting",
        "refused_total",
        "reads_total",
        "late_total",
        "holes_total",
        "unordered_total",
    ),
    0,
)


def values(backplane: Any) -> dict[str, float]:
    state: Any = SimpleNamespace(backplane=backplane)
    found: dict[str, float] = {}
    for each in BACKPLANE_METRICS:
        ((labels, value),) = each.read(state)
        assert labels == ()
        found[each.name.removeprefix("wampush_backplane_")] = float(value)
    return found


def test_a_single_node_misses_nothing() -> None:
    assert values(None) == {**NOTHING, "joined": 1, "not_propagated_total": 0, **PLAIN}


def test_what_a_joined_node_does() -> None:
    world = World(1, delay=1.0)
    world.client(0, "news", "sport")
    node = world.nodes[0]
    node.accept("news")
    assert values(node.backplane) == {
        **NOTHING,
        "joined": 1,
        "topics": 2,
        "under_way": 1,
        "not_propagated_total": 0,
        "unknown_total": 0,
    }
    node.backplane.control.send("novelty", b"1")
    world.bus.clock.pump([1.0] * 3)
    assert values(node.backplane)["unknown_total"] == 1
    node.accept("news")
    world.bus.cut()
    assert values(node.backplane) == {
        **NOTHING,
        "joined": 0,
        "topics": 2,
        "under_way": 0,
        "not_propagated_total": 1,
        "unknown_total": 1,
    }


def test_topics_with_history() -> None:
    kept = SimpleNamespace(
        mirrors=SimpleNamespace(topics=("a", "b"), filled=3, holes=4),
        publishing=type("Publishing", (list,), {"failed": 6})([1]),
        top_check=SimpleNamespace(found=5),
        plain_parts=SimpleNamespace(unordered=7, not_propagated=0),
    )
    joined = SimpleNamespace(
        bus=SimpleNamespace(is_joined=True),
        control=SimpleNamespace(unknown=0),
        interest=(),
        plain=(),
        kept=kept,
        not_propagated=8,
    )
    found = values(joined)
    assert found["not_propagated_total"] == 8
    assert {name: found[name] for name in NOTHING} == {
        "mirrors": 2,
        "waiting": 1,
        "refused_total": 6,
        "reads_total": 3,
        "late_total": 5,
        "holes_total": 4,
        "unordered_total": 7,
    }
