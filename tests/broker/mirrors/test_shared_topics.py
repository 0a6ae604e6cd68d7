"""Topics with history of several nodes, from the publication to its outcome."""

from __future__ import annotations

from typing import Any

import pytest

from tests.broker.mirrors.mirror_world import Node, SharedWorld, events
from wampush.broker.backplane.contract import Accepted
from wampush.broker.backplane.node_message import NodeMessage
from wampush.broker.mirrors.plain_parts import PlainParts
from wampush.broker.mirrors.publishing import PATIENCE, StorePublishing
from wampush.broker.mirrors.shared_topics import SharedTopics
from wampush.broker.mirrors.top_check import INTERVAL, TopCheck
from wampush.broker.publication import Audience, Position, Publication, PushKey
from wampush.errors import PublicationRefused, Refusal


class Shared:
    """The topics of one node."""

    def __init__(self, shared: SharedWorld) -> None:
        self.shared = shared
        self.node: Node = shared.node()
        world, clock = self.node.world, self.node.clock
        self.parts = PlainParts(
            self.node.store,
            lambda topic: self.node.mirrors.rule(topic) is not None,
            interest=self.node.interest,
            router=world.router,
        )
        self.topics = SharedTopics(
            self.node.store,
            self.node.mirrors,
            plain_parts=self.parts,
            publishing=StorePublishing(
                self.parts,
                backpressure=world.pressure,
                ledger=world.ledger,
                seconds=clock.seconds,
                call_later=clock.call_later,
            ),
            top_check=TopCheck(self.node.store, self.node.mirrors, clock.call_later, lambda: 0.5),
            router=world.router,
            ledger=world.ledger,
        )
        self.outcomes: list[Any] = []

    def publish(self, topic: str, payload: bytes = b"1", *further: str, **more: Any) -> None:
        publication = Publication(topic, payload, further_topics=further, **more)
        self.topics.publish(publication, self.outcomes.append)

    def settle(self) -> None:
        self.shared.settle(0.01)


@pytest.fixture
def here(shared: SharedWorld) -> Shared:
    return Shared(shared)


def test_topics_with_a_rule_are_taken(here: Shared) -> None:
    assert here.topics.takes("log")
    assert not here.topics.takes("plain")
    assert not here.topics.takes("unknown")


def test_the_outcome_says_the_position_and_the_receivers(here: Shared) -> None:
    client = here.node.client("log")
    here.publish("log")
    assert here.outcomes == []
    here.settle()
    (outcome,) = here.outcomes
    ((topic, position),) = outcome.positions
    assert (topic, position.offset, outcome.receivers) == ("log", 1, 1)
    assert events(client, "log") == [(1, b"1")]


def test_receivers_that_others_have(shared: SharedWorld, here: Shared) -> None:
    here.publish("log")
    here.settle()
    assert here.outcomes[-1].receivers == 0
    other = shared.node()
    other.client("log")
    here.publish("log")
    here.settle()
    assert here.outcomes[-1].receivers is None
    here.node.client("log")
    here.publish("log", audience=Audience(eligible=frozenset()))
    here.settle()
    assert here.outcomes[-1].receivers is None


def test_an_event_that_has_come_back_before_its_answer_is_delivered_once(here: Shared) -> None:
    client = here.node.client("log", "state")
    here.publish("log", b"1", "state")
    here.publish("log", b"2")
    here.settle()
    assert events(client, "log") == [(1, b"1"), (2, b"2")]
    assert events(client, "state") == [(1, b"1")]
    assert [each.receivers for each in here.outcomes] == [2, 1]
    assert [topic for topic, _ in here.outcomes[0].positions] == ["log", "state"]


def test_a_push_that_another_node_has_published(shared: SharedWorld, here: Shared) -> None:
    other = Shared(shared)
    other.publish("log", push=PushKey("p", "d"))
    other.settle()
    client = here.node.client("log")
    here.publish("log", push=PushKey("p", "d"))
    here.settle()
    (outcome,) = here.outcomes
    assert isinstance(outcome, Accepted)
    assert outcome.is_repeated
    assert outcome.positions == other.outcomes[0].positions
    assert events(client, "log") == []


def test_a_refusal_is_the_outcome(here: Shared) -> None:
    here.publish("table", b'{"id":1,"rev":2}')
    here.publish("table", b'{"id":1,"rev":1}')
    here.settle()
    assert isinstance(here.outcomes[1], PublicationRefused)
    assert here.outcomes[1].refusal is Refusal.STALE


def test_an_answer_that_is_lost_leaves_the_position_open(here: Shared) -> None:
    here.publish("log")
    here.shared.clock.advance(0.001)
    here.node.link.cut("a test")
    here.topics.on_left("a test")
    here.settle()
    assert here.outcomes == []
    here.node.link.restore()
    here.settle()
    here.topics.on_joined()
    here.settle()
    assert here.outcomes == [Accepted(0, [])]


def test_a_message_without_a_position_is_refused_and_counted(here: Shared) -> None:
    client = here.node.client("log")
    here.topics.on_message("log", NodeMessage("other", 1, b"1"))
    assert "all nodes need the same [[topics]]" in here.node.world.lines[0]
    here.topics.on_message(
        "log", NodeMessage("other", 1, b"1", position=Position("e", 1), time=1.0)
    )
    assert events(client, "log") == []
    known = here.node.mirrors.known("log")
    assert known is not None
    position = Position(known.position.epoch, 1)
    here.topics.on_message(
        "log", NodeMessage("other", 1, b"7", position=position, time=1.0, run=known.run)
    )
    here.node.world.end_turn()
    assert events(client, "log") == [(1, b"7")]


def test_the_end(here: Shared) -> None:
    here.topics.on_joined()
    here.topics.flush()
    here.publish("log")
    here.topics.stop()
    (outcome,) = here.outcomes
    assert outcome.refusal is Refusal.BACKPLANE_AWAY
    assert not [each for each in here.shared.clock.pending if "_look" in repr(each.function)]
    assert INTERVAL


def test_what_has_come_back_is_not_delivered_again_after_a_loss(here: Shared) -> None:
    client = here.node.client("plain")
    here.node.interest.hold("plain")
    here.settle()
    here.publish("plain", push=PushKey("p", "d"))
    here.settle()
    # The message; its answer is said to be lost with the link.
    assert here.topics.on_plain_message("plain", NodeMessage("node0", 1, b"1"), _unexpected)
    here.topics.deliver_plain()
    here.topics.look()
    here.topics.give_way()
    here.topics.on_left("away")
    here.topics.on_joined()
    here.settle()
    assert client.texts == []


def test_a_push_that_was_given_up_reaches_the_clients_of_this_node_nevertheless(
    here: Shared,
) -> None:
    client = here.node.client("plain")
    here.node.interest.hold("plain")
    here.settle()
    push = Publication("plain", b"1", push=PushKey("p", "d"))
    here.topics.publish(push, here.outcomes.append, is_awaited=True)
    here.shared.clock.advance(0.001)
    # The store has carried it out; nothing of that comes back.
    here.node.link.cut("a test")
    here.node.interest.on_left()
    here.topics.deliver_plain()
    here.topics.on_left("a test")
    here.shared.clock.advance(PATIENCE)
    (outcome,) = here.outcomes
    assert "it may have been published" in outcome.detail
    here.node.link.restore()
    here.settle()
    here.topics.on_joined()
    # What is published meanwhile waits for the answer about that.
    here.publish("log")
    here.settle()
    here.node.world.end_turn()
    assert client.texts == [b'[8,"plain",1]']
    assert isinstance(here.outcomes[1], Accepted)
    assert here.parts.not_propagated == 1


def _unexpected(topic: str, message: NodeMessage) -> None:
    raise AssertionError((topic, message))
