"""How the parts that join a node to others are put together."""

from __future__ import annotations

from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from tests.broker.backplane.nodes import World
from wampush.broker.nodes.node_payloads import PeoplePayload, bye_payload, people_payload
from wampush.broker.nodes.people import PeopleChange
from wampush.broker.nodes.registry import BYE, PEOPLE
from wampush.config.settings import Settings
from wampush.node.backplane import LOOK_SECONDS, max_message_bytes, new_node_id
from wampush.node.core import make_core
from wampush.testing.clock import ThreadedClock


def test_ids_of_nodes_differ() -> None:
    ids = {new_node_id() for _ in range(100)}
    assert len(ids) == 100
    assert {len(each) for each in ids} == {16}


def test_messages_may_be_as_long_as_the_longest_push_and_a_header() -> None:
    assert max_message_bytes(Settings()) == 1_048_576 + 4096


def test_a_single_node_has_no_backplane() -> None:
    core = make_core(Settings(), ThreadedClock())
    assert core.backplane is None
    assert core.broker.indirect is None
    assert core.broker.interest is None


def test_a_node_that_comes_and_goes_does_not_fill_the_log() -> None:
    nodes = World(1).nodes[0].backplane.nodes
    nodes.start()
    people = PeopleChange(sessions=1)
    lines: list[LogEvent] = []
    observer: Any = lines.append
    globalLogPublisher.addObserver(observer)
    try:
        for _ in range(100):
            for node in ("x", "y"):
                everything = PeoplePayload(
                    node=node, epoch="e", sequence=1, change=people, part=0, parts=1
                )
                nodes.on_message("p", PEOPLE, people_payload(everything))
                nodes.on_message("p", BYE, bye_payload(node))
    finally:
        globalLogPublisher.removeObserver(observer)
    told = [str(formatEvent(each)) for each in lines if each["log_namespace"] == "wampush.nodes"]
    assert told == [
        "node x (x) is there, with 1 sessions",
        "node x (x) is gone: it ends; it had 1 sessions",
        "node y (y) is there, with 1 sessions",
        "node y (y) is gone: it ends; it had 1 sessions",
    ]


def test_publications_under_way_are_looked_at_until_the_end() -> None:
    world = World(1)
    backplane = world.nodes[0].backplane
    looks: list[float] = []
    backplane.plain.look_for_lost = lambda: looks.append(1)  # type: ignore[method-assign]
    world.bus.clock.pump([LOOK_SECONDS] * 3)
    assert len(looks) == 3
    world.nodes[0].close()
    world.bus.clock.pump([LOOK_SECONDS] * 3)
    assert len(looks) == 3
    assert not world.bus.clock.getDelayedCalls()
