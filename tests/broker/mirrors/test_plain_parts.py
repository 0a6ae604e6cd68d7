"""Publications that the store sends to topics without history, when the link is lost on the way."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest

from tests.broker.mirrors.mirror_world import Node, SharedWorld
from tests.broker.world import Client
from wampush.broker.backplane.node_message import NodeMessage
from wampush.broker.mirrors.contract import (
    Entry,
    NotCarriedOut,
    OnCarriedOut,
    OnStored,
    Stored,
)
from wampush.broker.mirrors.plain_order import MOST_LOOKS
from wampush.broker.mirrors.plain_parts import KEPT_LOOKS, PlainParts
from wampush.broker.publication import Publication
from wampush.errors import PublicationRefused, Refusal


class Store:
    """A store that answers when a test says so."""

    node = "n"
    is_joined = True
    problem = "away"

    def __init__(self) -> None:
        self.asked: list[tuple[Entry, OnStored]] = []
        self.questions: list[tuple[Sequence[Entry], OnCarriedOut]] = []

    def publish(self, entry: Entry, on_stored: OnStored) -> None:
        self.asked.append((entry, on_stored))

    def ask(self, entries: Sequence[Entry], on_answer: OnCarriedOut) -> None:
        self.questions.append((entries, on_answer))


class Parts:
    """What is under test, at a node with a client of "plain"."""

    def __init__(self) -> None:
        self.shared = SharedWorld()
        self.node: Node = self.shared.node()
        self.client: Client = self.node.client("plain")
        self.node.interest.hold("plain")
        self.shared.settle()
        self.store = Store()
        self.parts = PlainParts(
            self.store,
            lambda topic: topic == "log",
            interest=self.node.interest,
            router=self.node.world.router,
        )
        self.outcomes: list[object] = []

    def publish(self, number: int = 1, topic: str = "plain", *further: str) -> None:
        publication = Publication(topic, b"%d" % number, further_topics=further)
        self.parts.publish(Entry(number, publication, "p", "d"), self.outcomes.append)

    def answer(self, outcome: Stored | PublicationRefused | NotCarriedOut | None) -> None:
        self.store.asked.pop(0)[1](outcome)

    def comes_back(self, number: int = 1, node: str = "n") -> None:
        """Have a message come; the node delivers it now or later, or not at all."""
        message = NodeMessage(node, number, b"%d" % (number if node == "n" else 100 + number))
        if self.parts.on_message("plain", message, self._deliver):
            self._deliver("plain", message)

    def _deliver(self, topic: str, message: NodeMessage) -> None:
        self.node.world.router.deliver(Publication(topic, message.payload))

    def lose_the_answer_to(self, number: int) -> None:
        """Publish, and lose the link before the answer."""
        self.publish(number)
        self.answer(None)
        self.lose()

    def lose(self) -> None:
        self.node.interest.on_left()
        self.parts.on_left()

    def join(self, *numbers: int, done: Sequence[int] | None = ()) -> None:
        """Join again, and send again what has no outcome.

        :param done: what the store has carried out; None if it does not say.
        """
        self.begin_to_join(*numbers)
        self.learn(done)

    def begin_to_join(self, *numbers: int) -> None:
        """Join again, and ask what the store has carried out."""
        self.node.interest.on_followed(["t:plain"])
        self.parts.on_joined(partial(self._send, [(each,) for each in numbers]))

    def _send(self, publications: Sequence[tuple[Any, ...]]) -> None:
        for each in publications:
            self.publish(*each)

    def is_asking(self) -> bool:
        return not self.parts.is_joined

    def learn(self, done: Sequence[int] | None) -> None:
        """Answer the questions about what the store has carried out."""
        questions, self.store.questions = self.store.questions, []
        for entries, on_answer in questions:
            on_answer(None if done is None else [each.number in done for each in entries])

    def everything_arrives(self) -> None:
        self.shared.settle(0.01)

    def delivered(self) -> list[object]:
        self.node.world.end_turn()
        return [json.loads(each)[2] for each in self.client.texts]


@pytest.fixture
def parts() -> Parts:
    return Parts()


STORED = Stored([None])
LATE = Stored((), is_late=True)


@pytest.mark.parametrize("answer_first", [True, False])
def test_what_comes_back_is_delivered_as_it_comes(parts: Parts, answer_first: bool) -> None:
    parts.publish()
    if answer_first:
        parts.answer(STORED)
        parts.comes_back()
    else:
        parts.comes_back()
        parts.answer(STORED)
    parts.lose()
    assert parts.outcomes == [STORED]
    assert parts.delivered() == [1]
    assert len(parts.parts) == 0


def test_what_was_stored_before_a_loss_is_delivered_at_the_loss(parts: Parts) -> None:
    parts.publish()
    parts.answer(STORED)
    parts.lose()
    parts.lose()
    assert parts.delivered() == [1]


def test_what_turns_out_to_be_stored_is_delivered_once_it_cannot_come(parts: Parts) -> None:
    parts.publish()
    parts.answer(None)
    parts.lose()
    parts.join(1, done=[1])
    parts.answer(LATE)
    assert parts.delivered() == []
    parts.everything_arrives()
    assert parts.delivered() == [1]
    assert parts.outcomes == [None, LATE]
    assert len(parts.parts) == 0


def test_what_the_old_link_has_sent_late_comes_in_its_place(parts: Parts) -> None:
    parts.publish()
    parts.answer(None)
    parts.lose()
    parts.join(1, done=[1])
    parts.answer(LATE)
    parts.comes_back(7, node="other")
    parts.comes_back()
    parts.comes_back(8, node="other")
    parts.everything_arrives()
    assert parts.delivered() == [107, 1, 108]


def test_what_comes_after_the_loss_waits_for_what_may_have_been_before(parts: Parts) -> None:
    parts.publish(1)
    parts.publish(2)
    parts.answer(None)
    parts.answer(None)
    parts.lose()
    parts.begin_to_join(1, 2)
    parts.comes_back(7, node="other")
    assert parts.delivered() == []
    # Nothing overtakes the question.
    assert parts.is_asking()
    parts.learn([1])
    assert not parts.is_asking()
    parts.answer(LATE)
    parts.answer(STORED)
    parts.comes_back(2)
    parts.everything_arrives()
    assert parts.delivered() == [1, 107, 2]


def test_nothing_waits_for_what_is_not_sent_again(parts: Parts) -> None:
    parts.publish()
    parts.answer(None)
    parts.lose()
    parts.begin_to_join()
    parts.comes_back(7, node="other")
    assert parts.delivered() == []
    parts.learn(None)
    assert parts.delivered() == [107]


def test_what_waits_gives_way_when_another_process_takes_over(parts: Parts) -> None:
    parts.lose_the_answer_to(1)
    parts.join(1)
    parts.comes_back(7, node="other")
    parts.parts.give_way()
    assert parts.delivered() == [107]


def test_what_waits_when_the_link_is_lost_again_keeps_its_place(parts: Parts) -> None:
    parts.lose_the_answer_to(1)
    parts.join(1, done=[1])
    parts.comes_back(7, node="other")
    parts.answer(LATE)
    # It cannot come any more.
    parts.lose()
    assert parts.delivered() == [1, 107]


@pytest.mark.parametrize("outcome", [LATE, STORED])
def test_what_has_come_back_before_the_loss_is_not_delivered_again(
    parts: Parts, outcome: Stored
) -> None:
    parts.publish()
    parts.comes_back()
    parts.answer(None)
    parts.lose()
    parts.join(1)
    parts.answer(outcome)
    if outcome is STORED:
        # Redis was emptied, and has carried it out again.
        parts.comes_back()
    parts.everything_arrives()
    assert parts.delivered() == [1]
    assert len(parts.parts) == 0


def test_what_an_emptied_redis_sends_before_its_answer_is_left_out_as_well(parts: Parts) -> None:
    parts.publish()
    parts.comes_back()
    parts.answer(None)
    parts.lose()
    parts.join(1)
    parts.comes_back()
    parts.answer(STORED)
    assert parts.delivered() == [1]


def test_what_is_carried_out_after_the_loss_comes_back(parts: Parts) -> None:
    parts.publish()
    parts.answer(None)
    parts.lose()
    parts.join(1)
    parts.answer(STORED)
    parts.comes_back()
    assert parts.delivered() == [1]


def test_a_topic_that_is_not_followed_yet_may_miss_it(parts: Parts) -> None:
    parts.node.interest.on_left()
    parts.publish()
    parts.comes_back(7, node="other")
    parts.answer(STORED)
    parts.node.interest.on_followed(["t:plain"])
    assert parts.delivered() == []
    parts.everything_arrives()
    assert parts.delivered() == [1, 107]


def test_who_subscribes_after_it_was_sent_does_not_get_it_late(parts: Parts) -> None:
    parts.publish(1, "plain-later")
    later = parts.node.client("plain-later")
    parts.node.interest.hold("plain-later")
    parts.answer(None)
    parts.lose()
    parts.parts.on_joined(lambda: parts.publish(1, "plain-later"))
    assert not parts.store.questions
    parts.answer(LATE)
    parts.everything_arrives()
    parts.node.world.end_turn()
    assert later.texts == []


def test_a_push_that_was_given_up_and_was_published_is_delivered_in_its_place(
    parts: Parts,
) -> None:
    parts.lose_the_answer_to(1)
    # Its publisher has not waited any longer, so that it is not sent again.
    parts.begin_to_join()
    parts.comes_back(7, node="other")
    parts.learn([1])
    parts.everything_arrives()
    assert parts.delivered() == [1, 107]
    assert parts.parts.not_propagated == 1
    assert len(parts.parts) == 0


def test_a_push_that_was_given_up_and_that_another_node_has_published_comes_once(
    parts: Parts,
) -> None:
    parts.lose_the_answer_to(1)
    parts.join(done=[])
    parts.comes_back(7, node="other")
    # The same push is sent to this node again.
    parts.publish(2)
    parts.answer(Stored([None], is_repeated=True))
    parts.everything_arrives()
    assert parts.delivered() == [107]


def test_what_the_old_link_carries_out_after_all_is_delivered_as_it_comes(parts: Parts) -> None:
    parts.lose_the_answer_to(1)
    parts.join(1, done=[])
    parts.comes_back(7, node="other")
    parts.answer(LATE)
    parts.comes_back(1)
    assert parts.delivered() == [107, 1]
    assert len(parts.parts) == 0


def test_what_is_carried_out_over_a_link_that_is_lost_again_comes_after_what_came_over_it(
    parts: Parts,
) -> None:
    parts.lose_the_answer_to(1)
    parts.join(1, done=[])
    parts.comes_back(7, node="other")
    parts.answer(None)
    parts.lose()
    parts.begin_to_join(1)
    parts.comes_back(8, node="other")
    parts.learn([1])
    parts.answer(LATE)
    parts.everything_arrives()
    assert parts.delivered() == [107, 1, 108]
    assert parts.parts.not_propagated == 1


def test_the_link_may_be_lost_before_the_answer(parts: Parts) -> None:
    parts.lose_the_answer_to(1)
    parts.begin_to_join(1)
    parts.comes_back(7, node="other")
    parts.lose()
    # The answer of the lost link says nothing.
    parts.learn(None)
    assert parts.store.asked == []
    parts.join(1, done=[1])
    parts.answer(LATE)
    parts.everything_arrives()
    assert parts.delivered() == [1, 107]


def test_what_was_given_up_is_asked_for_after_each_loss(parts: Parts) -> None:
    parts.lose_the_answer_to(1)
    parts.join(done=[])
    parts.lose()
    parts.join(done=[1])
    parts.everything_arrives()
    assert parts.delivered() == [1]


def test_one_without_an_id_is_asked_for_once(parts: Parts) -> None:
    entry = Entry(1, Publication("plain", b"1"))
    parts.parts.publish(entry, parts.outcomes.append)
    parts.answer(None)
    parts.lose()
    parts.join(done=[])
    parts.lose()
    parts.join()
    assert len(parts.parts) == 0
    assert parts.delivered() == []


def test_what_was_carried_out_so_long_ago_that_its_id_is_forgotten_is_delivered(
    parts: Parts,
) -> None:
    parts.lose_the_answer_to(1)
    parts.join(1, done=[])
    parts.comes_back(7, node="other")
    parts.answer(LATE)
    parts.everything_arrives()
    assert parts.delivered() == [107, 1]


def test_an_answer_that_gets_lost_with_the_link_settles_nothing(parts: Parts) -> None:
    parts.lose_the_answer_to(1)
    parts.begin_to_join()
    parts.comes_back(7, node="other")
    # The store reports the loss before anyone else does.
    parts.store.is_joined = False
    parts.learn(None)
    assert parts.delivered() == []
    parts.lose()
    parts.store.is_joined = True
    parts.join(done=[1])
    parts.everything_arrives()
    assert parts.delivered() == [1, 107]


def test_a_store_that_does_not_say_is_sent_it_again(parts: Parts) -> None:
    parts.lose_the_answer_to(1)
    parts.join(1, done=None)
    parts.comes_back(7, node="other")
    assert parts.delivered() == []
    parts.answer(LATE)
    parts.everything_arrives()
    assert parts.delivered() == [1, 107]


def test_what_the_store_forgets_after_its_answer_comes_again(parts: Parts) -> None:
    parts.lose_the_answer_to(1)
    parts.join(1, done=[1])
    parts.answer(STORED)
    parts.everything_arrives()
    assert parts.delivered() == []
    parts.comes_back(1)
    assert parts.delivered() == [1]
    assert len(parts.parts) == 0


def test_what_other_nodes_may_have_missed_is_counted(parts: Parts) -> None:
    parts.publish(1, "plain", "plain-of-nobody")
    parts.publish(2)
    parts.comes_back(2)
    parts.answer(None)
    parts.answer(None)
    parts.lose()
    parts.node.interest.on_followed(["t:plain"])
    parts.parts.on_joined(partial(parts._send, [(1, "plain", "plain-of-nobody"), (2,)]))
    parts.learn([1])
    parts.answer(LATE)
    # This one has come over the link, so that it was there for all.
    parts.answer(LATE)
    parts.everything_arrives()
    assert parts.parts.not_propagated == 2
    assert parts.delivered() == [2, 1]


@pytest.mark.parametrize(
    "outcome",
    [
        Stored([None], is_repeated=True),
        PublicationRefused(Refusal.ID_REUSED),
        NotCarriedOut("busy"),
    ],
)
def test_what_was_not_published_is_not_delivered(
    parts: Parts, outcome: Stored | PublicationRefused | NotCarriedOut
) -> None:
    parts.publish()
    parts.answer(outcome)
    parts.lose()
    assert parts.delivered() == []
    assert parts.outcomes == [outcome]


def test_what_could_not_be_carried_out_is_awaited_when_it_is_sent_again(parts: Parts) -> None:
    parts.publish()
    parts.answer(NotCarriedOut("no script"))
    # Nothing waits for it.
    parts.comes_back(7, node="other")
    assert parts.delivered() == [107]
    parts.publish()
    parts.answer(STORED)
    parts.lose()
    assert parts.delivered() == [107, 1]


def test_what_was_carried_out_before_the_store_was_busy_is_delivered(parts: Parts) -> None:
    parts.lose_the_answer_to(1)
    parts.begin_to_join(1)
    parts.learn(None)
    # Nobody knows yet, and the store cannot say now.
    parts.answer(NotCarriedOut("busy"))
    parts.lose()
    parts.join(1, done=[1])
    parts.answer(LATE)
    parts.everything_arrives()
    assert parts.delivered() == [1]


def test_what_could_not_be_carried_out_and_is_given_up_is_forgotten(parts: Parts) -> None:
    parts.publish()
    parts.answer(NotCarriedOut("no script"))
    for _ in range(KEPT_LOOKS + 1):
        parts.parts.look()
    assert len(parts.parts) == 0
    assert parts.delivered() == []


def test_messages_of_other_nodes_and_unknown_ones_are_delivered(parts: Parts) -> None:
    parts.publish()
    parts.comes_back(node="other")
    parts.comes_back(2)
    assert parts.delivered() == [101, 2]
    assert len(parts.parts) == 1


def test_topics_with_history_and_topics_of_others_are_not_awaited(parts: Parts) -> None:
    parts.publish(1, "log", "plain-of-nobody")
    assert len(parts.parts) == 0
    parts.publish(2, "log", "plain")
    assert len(parts.parts) == 1


def test_who_has_come_since_does_not_get_it(parts: Parts) -> None:
    parts.publish()
    parts.answer(STORED)
    parts.node.interest.release("plain")
    parts.shared.settle(2.0)
    parts.node.interest.hold("plain")
    parts.lose()
    assert parts.delivered() == []


def test_what_never_comes_back_is_forgotten_after_some_looks(parts: Parts) -> None:
    parts.publish(1)
    parts.answer(STORED)
    parts.publish(2)
    for _ in range(KEPT_LOOKS):
        # However late it is, because the process was frozen.
        parts.shared.clock.now += 60
        parts.parts.look()
    assert len(parts.parts) == 2
    parts.parts.look()
    assert len(parts.parts) == 1


def test_nothing_waits_for_long(parts: Parts) -> None:
    parts.lose_the_answer_to(1)
    parts.comes_back(7, node="other")
    for _ in range(MOST_LOOKS + 1):
        parts.parts.look()
    assert parts.delivered() == [107]
    assert parts.parts.unordered == 1
    parts.join(1, done=[1])
    parts.answer(LATE)
    parts.everything_arrives()
    assert parts.delivered() == [107, 1]


def test_the_state_is_that_of_the_store(parts: Parts) -> None:
    assert parts.parts.is_joined
    assert parts.parts.problem == "away"
