"""This node among the others: beats, greetings, goodbyes, another process that goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from tests.broker.nodes.node_world import Installation, TestNode
from wampush.broker.nodes.nodes_state import NodesState, nodes_state
from wampush.broker.nodes.registry import BEAT_SECONDS
from wampush.errors import PushRefused


@pytest.fixture
def world() -> Installation:
    return Installation()


def there(node: TestNode) -> set[str]:
    """The names of the other nodes that are there."""
    return {each.name for each in node.nodes.others.there.values()}


def test_nodes_find_each_other_at_once(world: Installation) -> None:
    a, b = world.nodes
    assert (there(a), there(b)) == ({"b"}, {"a"})
    c = world.add("c")
    assert there(c) == {"a", "b"}
    assert len(c.nodes.others.present) == 2
    assert there(a) == {"b", "c"}


def test_beats_carry_figures_and_watched_topics(world: Installation) -> None:
    a, b = world.nodes
    a.nodes.show("connections", lambda: 3)
    a.nodes.set_watched(("room.*",))
    world.wait(BEAT_SECONDS + 0.5)
    (seen,) = b.nodes.others
    assert seen.beat is not None
    assert seen.beat.figures == {"connections": 3} == a.nodes.figures
    assert seen.beat.watched == ("room.*",)
    assert seen.beat.version == "1.0"


def test_a_node_is_not_heard_before_it_starts(world: Installation) -> None:
    c = TestNode(world, "c")
    world.nodes.append(c)
    c.connect()
    c.nodes.own.set_sessions(3)
    world.wait(10)
    assert there(world.nodes[0]) == {"b"}
    assert there(c) == set()
    c.nodes.start()
    c.nodes.start()
    world.wait(0.1)
    assert there(world.nodes[0]) == {"b", "c"}
    assert world.nodes[0].presence.num_clients == 3


def test_a_node_that_stops_is_gone_at_once_and_never_comes_back(world: Installation) -> None:
    a, b = world.nodes
    b.stop()
    assert there(a) == set()
    b.nodes.start()
    b.nodes.on_joined()
    world.wait(10)
    assert there(a) == set()
    assert b.own_clock.pending == []
    assert not b.nodes.is_joined


def test_kinds_that_are_not_known_and_own_messages_are_ignored(world: Installation) -> None:
    a, b = world.nodes
    a.nodes.on_message(b.process, "later", b"?")
    a.nodes.on_message(a.process, "beat", b"?")
    with pytest.raises(PushRefused):
        a.nodes.on_message(b.process, "beat", b"?")


def test_a_blocked_node_is_heard_as_soon_as_it_goes_on(world: Installation) -> None:
    a, b = world.nodes
    b.freeze()
    world.wait(9)
    assert there(a) == set()
    b.wake()
    assert there(a) == {"b"}
    assert there(b) == {"a"}


# Another process goes on.


def through_json(state: NodesState) -> NodesState:
    values: Mapping[str, Any] = orjson.loads(orjson.dumps(state))
    return nodes_state({**values, "later": 1})


def test_another_process_is_the_same_node(world: Installation) -> None:
    a, b = world.nodes
    tab = a.join("7", "room.1")
    b.join("8", "room.1")
    world.wait(1)
    watcher = b.join(None, "wampush.presence.changes.room.1", "wampush.presence.num_clients")
    world.wait(1)
    b.events(watcher)
    successor = TestNode(world, "a")
    world.nodes.append(successor)
    successor.connect()
    state = through_json(a.nodes.hand_over())
    successor.nodes.take_over(state)
    successor.nodes.own.set_sessions(1)
    successor.nodes.own.set_user("7", True)
    successor.nodes.own.set_member("room.1", "7", 1)
    # The old process says nothing any more.
    a.lose(tab)
    world.wait(0.1)
    successor.nodes.start()
    world.wait(30)
    assert successor.nodes.id == a.nodes.id
    assert there(b) == {"a"}
    assert there(successor) == {"b"}
    assert b.events(watcher) == []
    assert b.presence.users("room.1") == {"7": 1, "8": 1}
    (seen,) = successor.nodes.others
    assert seen.people.users == {"8"}
    assert successor.node_lines == []


def test_changes_between_two_processes_are_found(world: Installation) -> None:
    a, b = world.nodes
    b.join("8", "room.1")
    world.wait(1)
    successor = TestNode(world, "a")
    world.nodes.append(successor)
    successor.connect()
    state = through_json(a.nodes.hand_over())
    b.join("9", "room.1")
    world.wait(1)
    successor.nodes.take_over(state)
    assert {each for node in successor.nodes.others for each in node.people.users} == {"8"}
    successor.nodes.start()
    world.wait(0.1)
    assert successor.presence.users("room.1")["9"] == 1


def test_topics_stay_with_the_node(world: Installation) -> None:
    a, _ = world.nodes
    a.nodes.own.set_occupied("room.1", True)
    a.nodes.own.set_reported("room.1", True)
    successor = TestNode(world, "a")
    successor.nodes.take_over(through_json(a.nodes.hand_over()))
    assert successor.nodes.own.people.reported == {"room.1"}
    assert successor.nodes.own.people.occupied == {"room.1"}


def test_a_process_without_a_backplane_hands_nothing_over(world: Installation) -> None:
    a, _ = world.nodes
    before = a.nodes.id
    a.nodes.take_over(nodes_state({}))
    assert a.nodes.id == before


def test_a_node_that_cannot_be_read_is_heard_later(world: Installation) -> None:
    a, _ = world.nodes
    successor = TestNode(world, "a")
    state = a.nodes.hand_over()
    successor.nodes.take_over(NodesState(id=state.id, others=[{"id": "?"}, *state.others]))
    assert [each.name for each in successor.nodes.others] == ["b"]
    assert "unusable" in successor.node_lines[-1]
