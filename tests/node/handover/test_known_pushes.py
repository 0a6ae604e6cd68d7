"""Ids of pushes go to the other node, those that come while sessions move as well."""

from __future__ import annotations

from typing import Any

from tests.support.two_nodes import TestNode, two_nodes
from wampush.broker.delivery.backpressure import Hold
from wampush.config.tables.topics import TopicSettings
from wampush.edges.acknowledged_pushes import Published
from wampush.node.handover.known_pushes import KnownPushes


def push(node: TestNode, push_id: str) -> Published:
    """The outcome of a push over HTTP."""
    seen: list[Any] = []
    done = node.node.acknowledged_pushes.publish([b"kept", b"1"], "127.0.0.1", push_id)
    done.addBoth(seen.append)
    assert seen
    assert isinstance(seen[0], Published), seen
    return seen[0]


def test_all_ids_are_taken_once_in_their_order() -> None:
    with two_nodes() as nodes:
        pushes = KnownPushes(nodes.old.node.acknowledged_pushes, most=2)
        assert pushes.take() == []
        known = KnownPushes(nodes.old.node.acknowledged_pushes, most=2)
        for name in "abc":
            push(nodes.old, name)
        assert [[values[0] for values in known.take()] for _ in range(2)] == [["a", "b"], ["c"]]
        push(nodes.old, "d")
        assert known.take() == []
        assert [values[0] for values in known.take_rest()] == ["d"]
        assert [values[0] for values in pushes.take_rest()] == ["a", "b", "c", "d"]


def test_a_push_that_is_sent_again_after_an_upgrade_is_not_published_again() -> None:
    with two_nodes(TopicSettings(match="kept", history=10)) as nodes:
        client = nodes.client(topics=["kept"])
        first = push(nodes.old, "a")
        assert (first.receivers, first.is_repeated) == (1, False)
        nodes.hand_over()
        nodes.release()
        again = push(nodes.new, "a")
        assert again == first._replace(is_repeated=True)
        assert not push(nodes.new, "b").is_repeated
        nodes.read_all()
        assert len(client.events("kept")) == 2


def test_ids_without_an_outcome_follow_when_they_have_one() -> None:
    with two_nodes() as nodes:
        node = nodes.old.node
        known = KnownPushes(node.acknowledged_pushes)
        node.backpressure.hold(Hold.TOTAL)
        node.acknowledged_pushes.publish([b"kept", b"1"], "127.0.0.1", "held")
        assert known.take_rest() == []
        node.backpressure.release(Hold.TOTAL)
        nodes.old.reactor.advance(0)
        push(nodes.old, "next")
        assert [values[0] for values in known.take_rest()] == ["held", "next"]
        assert known.take_rest() == []


def test_a_late_push_that_is_sent_again_to_the_new_node_is_not_published_again() -> None:
    with two_nodes(TopicSettings(match="kept", history=10)) as nodes:
        client = nodes.client(topics=["kept"])
        nodes.hand_over()
        for name in "ab":
            assert not push(nodes.old, name).is_repeated
        nodes.release()
        for name in "ab":
            assert push(nodes.new, name).is_repeated
        assert not push(nodes.new, "c").is_repeated
        nodes.read_all()
        assert len(client.events("kept")) == 3
