"""Publications to several topics, some of which have a history at the bus."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.broker.backplane.nodes import World, data
from wampush.broker.backplane.contract import Accepted, OnOutcome
from wampush.broker.backplane.node_message import NodeMessage
from wampush.broker.backplane.publishing import NodePublishing
from wampush.broker.publication import Position, Publication, PushKey
from wampush.errors import PublicationRefused, Refusal


class Kept:
    """Topics with a history whose outcomes a test decides."""

    def __init__(self) -> None:
        self.published: list[tuple[Publication, OnOutcome]] = []
        self.awaited: list[bool] = []
        self.refuses = False
        self.ends: list[str] = []

    def takes(self, topic: str) -> bool:
        return topic.startswith("kept")

    def publish(
        self, publication: Publication, on_done: OnOutcome, *, is_awaited: bool = False
    ) -> None:
        if self.refuses:
            raise PublicationRefused(Refusal.STALE)
        self.awaited.append(is_awaited)
        self.published.append((publication, on_done))

    def on_message(self, topic: str, message: NodeMessage) -> None:
        raise AssertionError((topic, message))

    def on_plain_message(
        self, topic: str, message: NodeMessage, deliver: Callable[[str, NodeMessage], object]
    ) -> bool:
        raise AssertionError((topic, message, deliver))

    def is_waiting(self, topic: str) -> bool:
        raise AssertionError(topic)

    def give_way(self) -> None:
        raise AssertionError

    def deliver_plain(self) -> None:
        raise AssertionError

    def on_joined(self) -> None:
        raise AssertionError

    def on_left(self, problem: str) -> None:
        raise AssertionError(problem)

    def flush(self) -> None:
        self.ends.append("flush")

    def stop(self) -> None:
        self.ends.append("stop")


class Publishing:
    def __init__(self) -> None:
        self.world = World(2)
        self.kept = Kept()
        node = self.world.nodes[0]
        self.ledger = node.core.broker.ledger
        self.plain = node.backplane.plain
        self.publishing = NodePublishing(self.plain, self.kept, self.ledger)
        self.outcomes: list[Any] = []

    def publish(self, topic: str, *further: str) -> None:
        publication = Publication(topic, b"1", further_topics=further)
        assert self.publishing.takes(publication)
        self.publishing.publish(publication, self.outcomes.append)


@pytest.fixture
def to() -> Publishing:
    return Publishing()


def test_topics_with_a_history_go_their_own_way(to: Publishing) -> None:
    to.publish("kept.a")
    to.publish("plain")
    to.world.settle()
    ((publication, on_done),) = to.kept.published
    assert publication.topic == "kept.a"
    assert to.outcomes == [0]
    on_done(5)
    assert to.outcomes == [0, 5]


def test_a_publication_goes_as_a_whole_if_one_of_its_topics_has_a_history(to: Publishing) -> None:
    client = to.world.client(0, "plain")
    to.publish("plain", "other", "kept.a")
    to.world.settle()
    ((publication, on_done),) = to.kept.published
    assert publication.further_topics == ("other", "kept.a")
    on_done(Accepted(3, [("kept.a", Position("e", 1))]))
    assert to.outcomes == [Accepted(3, [("kept.a", Position("e", 1))])]
    assert data(client) == []
    to.kept.refuses = True
    with pytest.raises(PublicationRefused):
        to.publish("plain", "kept.a")


def test_a_push_with_an_id_goes_where_ids_are_known(to: Publishing) -> None:
    publication = Publication("plain", b"1", push=PushKey("p", "d"))
    to.publishing.publish(publication, to.outcomes.append, is_awaited=True)
    assert [each for each, _ in to.kept.published] == [publication]
    assert to.kept.awaited == [True]


def test_the_receivers_of_all_topics_are_added_up(to: Publishing) -> None:
    client = to.world.client(0, "plain", "other")
    to.publish("plain", "other", "third")
    to.world.settle()
    assert to.outcomes == [2]
    assert data(client) == [1, 1]


@pytest.mark.parametrize(
    ("results", "outcome"),
    [((0, None), None), ((2, None), 2), ((0, 0), 0), ((Accepted(2, ()), 0), 2)],
)
def test_whether_others_have_got_it(
    to: Publishing,
    monkeypatch: pytest.MonkeyPatch,
    results: tuple[Any, Any],
    outcome: Any,
) -> None:
    waiting: list[OnOutcome] = []
    monkeypatch.setattr(to.plain, "publish", lambda _, on_done: waiting.append(on_done))
    to.publish("a", "b")
    for on_done, result in zip(waiting, results, strict=True):
        on_done(result)
    assert to.outcomes == [outcome]


def test_a_topic_that_is_refused_is_left_out(
    to: Publishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    warnings: list[str] = []
    monkeypatch.setattr(
        to.ledger, "warn", lambda message, **fields: warnings.append(message.format(**fields))
    )
    publish = to.plain.publish

    def refuse(publication: Publication, on_done: OnOutcome) -> None:
        if publication.topic == "full":
            raise PublicationRefused(Refusal.BACKPLANE_AWAY)
        publish(publication, on_done)

    monkeypatch.setattr(to.plain, "publish", refuse)
    to.publish("plain", "full")
    to.world.settle()
    assert to.outcomes == [0]
    (warning,) = warnings
    assert "left out topic 'full' of a publication to several topics" in warning
    with pytest.raises(PublicationRefused):
        to.publish("full", "full")


def test_a_publication_that_no_topic_takes_later_is_refused(
    to: Publishing, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[OnOutcome] = []
    monkeypatch.setattr(to.plain, "publish", lambda _, on_done: waiting.append(on_done))
    to.publish("a", "b")
    for on_done in waiting:
        on_done(PublicationRefused(Refusal.BACKPLANE_AWAY))
    (outcome,) = to.outcomes
    assert outcome.refusal is Refusal.BACKPLANE_AWAY


def test_the_end_is_the_end_of_both_ways(to: Publishing) -> None:
    to.publish("plain")
    to.publishing.flush()
    to.publishing.stop()
    assert to.kept.ends == ["flush", "stop"]
    assert to.outcomes == [0]


def test_the_end_without_histories() -> None:
    world = World(1)
    core = world.nodes[0].core
    assert core.broker.indirect is not None
    world.nodes[0].accept("plain")
    core.broker.flush()
    core.broker.stop()
    assert world.nodes[0].outcomes == [0]
