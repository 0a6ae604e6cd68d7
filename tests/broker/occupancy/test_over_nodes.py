"""Topics that are occupied at some node, and the one node that tells its applications."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.broker.nodes.node_world import TOPIC_GRACE, Installation, TestNode


@pytest.fixture
def world() -> Installation:
    return Installation(patterns=["room.*"])


def seen(nodes: Sequence[TestNode]) -> list[str]:
    """What applications of all nodes were told since the last look."""
    words = [word for node in nodes for word in node.seen]
    for node in nodes:
        node.seen.clear()
    return words


def telling(world: Installation, topic: str) -> list[TestNode]:
    """The nodes that tell their applications of a topic."""
    return [each for each in world.nodes if topic in each.nodes.own.people.reported]


def test_one_node_tells_of_a_topic_wherever_its_subscribers_are(world: Installation) -> None:
    a, b = world.nodes
    first = a.join(None, "room.1", "other")
    second = b.join(None, "room.1")
    world.wait(1)
    assert seen(world.nodes) == ["+room.1"]
    a.lose(first)
    world.wait(60)
    assert seen(world.nodes) == []
    b.lose(second)
    world.wait(TOPIC_GRACE - 0.1)
    assert seen(world.nodes) == []
    world.wait(0.3)
    assert seen(world.nodes) == ["-room.1"]
    world.wait(60)
    assert seen(world.nodes) == []
    assert telling(world, "room.1") == []


def test_topics_are_shared_among_the_nodes(world: Installation) -> None:
    a, b = world.nodes
    names = [f"room.{number}" for number in range(40)]
    a.join(None, *names)
    world.wait(1)
    assert sorted(a.seen + b.seen) == sorted(f"+{each}" for each in names)
    assert min(len(a.seen), len(b.seen)) > 5


def test_going_from_node_to_node_is_not_a_change(world: Installation) -> None:
    a, b = world.nodes
    client = a.join(None, "room.1")
    world.wait(1)
    assert seen(world.nodes) == ["+room.1"]
    for node, other in ((b, a), (a, b)) * 3:
        other.lose(client)
        world.wait(TOPIC_GRACE - 0.5)
        client = node.join(None, "room.1")
        world.wait(TOPIC_GRACE * 2)
    assert seen(world.nodes) == []


def test_another_node_takes_the_topics_of_a_dead_one(world: Installation) -> None:
    names = [f"room.{number}" for number in range(20)]
    a, b = world.nodes
    for node in (a, b):
        node.join(None, *names)
    world.wait(1)
    seen(world.nodes)
    of_b = list(b.nodes.own.people.reported)
    assert of_b
    b.die()
    world.wait(8)
    assert sorted(seen([a])) == sorted(f"+{each}" for each in of_b)
    world.wait(60)
    assert seen([a]) == []


def test_topics_that_only_a_dead_node_had_are_vacated_after_the_grace_period(
    world: Installation,
) -> None:
    a, b = world.nodes
    b.join(None, "room.1", "room.2", "room.3", "room.4")
    world.wait(1)
    seen(world.nodes)
    b.die()
    while a.nodes.others.there:
        world.wait(0.1)
    a.join(None, "room.1")
    world.wait(TOPIC_GRACE - 0.3)
    assert [each for each in seen([a]) if each.startswith("-")] == []
    world.wait(1)
    assert sorted(seen([a])) == ["-room.2", "-room.3", "-room.4"]


def test_a_node_that_stops_leaves_its_topics_to_others(world: Installation) -> None:
    names = [f"room.{number}" for number in range(10)]
    a, b = world.nodes
    a.join(None, *names)
    only = "room.only"
    b.join(None, only)
    world.wait(1)
    of_b = {each for each in b.nodes.own.people.reported if each != only}
    assert of_b
    seen(world.nodes)
    b.stop()
    # What ran for these topics in the process that ends is stopped, and begins elsewhere.
    assert of_b <= {each[1:] for each in b.seen}
    assert {each[0] for each in b.seen} == {"-"}
    assert of_b <= {each[1:] for each in a.seen if each.startswith("+")}


def test_two_nodes_that_did_not_know_each_other_agree() -> None:
    world = Installation(patterns=["room.*"])
    a, b = world.nodes
    world.bus.cut()
    world.wait(30)
    for node in (a, b):
        node.join(None, "room.1")
    world.wait(1)
    assert (a.seen, b.seen) == (["+room.1"], ["+room.1"])
    seen(world.nodes)
    world.bus.restore()
    world.wait(3)
    (winner,) = telling(world, "room.1")
    loser = b if winner is a else a
    assert (winner.seen, loser.seen) == ([], ["-room.1"])


def test_listeners_outside_of_the_node_are_not_told_that_another_one_takes_over() -> None:
    world = Installation(patterns=["room.*"])
    told: dict[str, list[tuple[str, bool]]] = {}
    for node in world.nodes:
        notes = told.setdefault(node.name, [])
        node.occupancy.watch(
            ["room.*"], lambda *change, notes=notes: notes.append(change), is_of_node=False
        )
    a, b = world.nodes
    world.bus.cut()
    world.wait(30)
    for node in (a, b):
        node.join(None, "room.1")
    world.bus.restore()
    world.wait(3)
    assert told == {"a": [("room.1", True)], "b": [("room.1", True)]}


def test_only_nodes_whose_applications_watch_a_topic_take_it() -> None:
    world = Installation(1, patterns=["room.*"])
    (a,) = world.nodes
    b = world.add("b", patterns=[])
    world.wait(2)
    b.join(None, *(f"room.{number}" for number in range(10)), "unwatched")
    world.wait(1)
    assert len(a.seen) == 10
    assert b.nodes.own.people.occupied == {f"room.{number}" for number in range(10)}


def test_a_frozen_node_gives_up_what_another_has_taken(world: Installation) -> None:
    a, b = world.nodes
    names = [f"room.{number}" for number in range(12)]
    for node in (a, b):
        node.join(None, *names)
    world.wait(1)
    seen(world.nodes)
    b.freeze()
    world.wait(60)
    b.wake()
    world.wait(3)
    for name in names:
        assert len(telling(world, name)) == 1
    # Whatever one node has begun anew, the other has ended.
    changes = seen(world.nodes)
    assert sorted(each for each in changes if each[0] == "-") == sorted(
        "-" + each[1:] for each in changes if each[0] == "+"
    )


def test_an_upgrade_changes_nothing_for_applications(world: Installation) -> None:
    a, b = world.nodes
    names = [f"room.{number}" for number in range(10)]
    a.join(None, *names)
    world.wait(1)
    of_a = set(a.nodes.own.people.reported)
    seen(world.nodes)
    successor = TestNode(world, "a", patterns=["room.*"])
    moved = successor.take_over(a)
    a.occupancy.stop()
    world.wait(30)
    assert seen([a, successor, b]) == []
    assert successor.nodes.own.people.reported == of_a
    for client in moved.values():
        successor.lose(client)
    world.wait(TOPIC_GRACE + 1)
    assert sorted(seen([successor, b])) == sorted(f"-{each}" for each in names)
