"""What every store of topics does; each variant has a test that runs these steps on it.

A variant gives a ``Setting``: it makes the ends of nodes, lets time pass, and can be another server
that has what was stored earlier.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from wampush.broker.backplane.node_message import decoded
from wampush.broker.history.rule import HistoryRule, HistoryRules
from wampush.broker.mirrors.contract import (
    Cursor,
    Entry,
    Place,
    SharedStore,
    Slice,
    Stored,
    Top,
)
from wampush.broker.publication import EVERYONE, Audience, Publication, Targets
from wampush.errors import PublicationRefused, Refusal

#: Seconds.
MAX_AGE = 2.0
RULES = HistoryRules(
    [
        ("log", HistoryRule(events=3)),
        ("small", HistoryRule(events=1000, max_bytes=3000)),
        # Long enough for a few requests to a real server on a busy machine.
        ("aged", HistoryRule(events=10, last_by="id", max_age=MAX_AGE)),
        ("state", HistoryRule(last=True, events=1)),
        ("table", HistoryRule(last_by="id", tombstone="gone", version_by="rev", keys=3)),
        ("rev*", HistoryRule(last=True, events=1, version_by="rev")),
        ("plain", None),
    ]
)
TO_USER = Audience(to=Targets(users=frozenset({"7"})))


class Setting(Protocol):
    """One store under test."""

    def end(self, node: str) -> SharedStore:
        """The store as one node uses it."""

    def settle(self) -> None:
        """Let all answers arrive."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""

    def messages(self, topic: str) -> Sequence[bytes]:
        """What was sent to the nodes that follow a topic; the first call begins to record."""

    def remember(self) -> Any:
        """What is stored now."""

    def go_back(self, state: Any) -> None:
        """Be another server, which has what was stored then."""


class Node:
    """A node that asks and gets its answers."""

    def __init__(self, setting: Setting, name: str = "n1") -> None:
        self.setting = setting
        self.end = setting.end(name)
        self.number = 0

    def _answer(self, ask: Callable[[Callable[[Any], None]], None]) -> Any:
        answers: list[Any] = []
        ask(answers.append)
        assert answers == [], "answered within the call"
        self.setting.settle()
        assert len(answers) == 1
        return answers[0]

    def enter(self, entry: Entry) -> Stored | PublicationRefused:
        outcome = self._answer(lambda answer: self.end.publish(entry, answer))
        assert isinstance(outcome, Stored | PublicationRefused)
        return outcome

    def ask(self, *entries: Entry) -> Sequence[bool]:
        """Which publications of this node were carried out."""
        found: Sequence[bool] = self._answer(lambda answer: self.end.ask(entries, answer))
        return found

    def publish(
        self,
        topic: str,
        payload: bytes,
        audience: Audience = EVERYONE,
        *further: str,
        push: tuple[str, str] = ("", ""),
    ) -> Stored | PublicationRefused:
        self.number += 1
        publication = Publication(topic, payload, audience, None, further)
        return self.enter(Entry(self.number, publication, *push))

    def offset(self, topic: str, payload: bytes, audience: Audience = EVERYONE) -> int:
        """Publish; return the offset."""
        place = self.place(self.publish(topic, payload, audience))
        return place.position.offset

    @staticmethod
    def place(outcome: Stored | PublicationRefused) -> Place:
        assert isinstance(outcome, Stored), outcome
        (place,) = outcome.places
        assert place is not None
        return place

    def read(self, topic: str, values: int | None = 0, events: int | None = 0) -> Slice:
        found = self._answer(lambda answer: self.end.read(topic, Cursor(values, events), answer))
        assert isinstance(found, Slice), found
        return found

    def events(self, topic: str, after: int = 0) -> list[tuple[int, bytes]]:
        return [(row.offset, row.payload) for row in self.read(topic, None, after).events]

    def values(self, topic: str) -> list[tuple[int, bytes]]:
        return [(row.offset, row.payload) for row in self.read(topic, 0, None).values]

    def tops(self, *topics: str) -> Sequence[Top | None]:
        tops: Sequence[Top | None] = self._answer(lambda answer: self.end.tops(topics, answer))
        return tops

    def renew(self, topic: str, epoch: str) -> None:
        self._answer(lambda answer: self.end.renew(topic, epoch, lambda: answer(None)))


def offsets_count_the_publications_of_all_nodes(setting: Setting) -> None:
    first, second = Node(setting), Node(setting, "n2")
    first_place = first.place(first.publish("log", b"1"))
    second_place = second.place(second.publish("log", b"2"))
    assert [first_place.position.offset, second_place.position.offset] == [1, 2]
    assert first_place.position.epoch == second_place.position.epoch
    assert first_place.run == second_place.run != ""
    assert first_place.time <= second_place.time
    assert first.offset("state", b"1") == 1
    assert first.events("log") == [(1, b"1"), (2, b"2")]
    assert first.events("log", 1) == [(2, b"2")]
    assert first.events("log", 2) == []


def what_a_topic_keeps_is_bounded_by_count(setting: Setting) -> None:
    node = Node(setting)
    for number in range(1, 6):
        node.offset("log", b"%d" % number)
    assert node.events("log") == [(3, b"3"), (4, b"4"), (5, b"5")]
    assert node.values("log") == []


def what_a_topic_keeps_is_bounded_by_size(setting: Setting) -> None:
    node = Node(setting)
    for _ in range(10):
        node.offset("small", b'"%b"' % (b"x" * 500))
    kept = node.events("small")
    assert [offset for offset, _ in kept] == list(range(10 - len(kept) + 1, 11))
    assert sum(len(payload) for _, payload in kept) <= 3000
    assert len(kept) >= 2
    # One that is too large alone is not kept, and is counted.
    assert node.offset("small", b'"%b"' % (b"x" * 5000)) == 11
    assert node.events("small") == []
    assert node.offset("small", b"1") == 12
    assert node.events("small") == [(12, b"1")]


def what_is_too_old_goes(setting: Setting) -> None:
    node = Node(setting)
    node.offset("aged", b'{"id":1}')
    setting.sleep(MAX_AGE + 0.05)
    node.offset("aged", b'{"id":2}')
    node.offset("aged", b'{"id":3}')
    assert [offset for offset, _ in node.events("aged")] == [2, 3]
    assert [offset for offset, _ in node.values("aged")] == [2, 3]
    setting.sleep(MAX_AGE + 0.05)
    assert node.events("aged") == node.values("aged") == []
    assert node.offset("aged", b'{"id":4}') == 4
    assert [offset for offset, _ in node.values("aged")] == [4]


def values_are_the_newest_by_key(setting: Setting) -> None:
    node = Node(setting)
    for payload in (b'{"id":1}', b'{"id":2}', b'{"id":1,"a":1}', b'{"id":"x","gone":true}', b"7"):
        node.offset("table", payload)
    assert node.values("table") == [(2, b'{"id":2}'), (3, b'{"id":1,"a":1}')]
    node.offset("table", b'{"id":1,"gone":true}')
    assert node.values("table") == [(2, b'{"id":2}')]
    for number in range(10, 14):
        node.offset("table", b'{"id":%d}' % number)
    assert [offset for offset, _ in node.values("table")] == [8, 9, 10]
    node.offset("table", b"null")
    assert node.values("table") == []


def only_events_for_everyone_are_values(setting: Setting) -> None:
    node = Node(setting)
    node.offset("state", b"1", Audience(exclude=frozenset({"s"})))
    node.offset("state", b"2", TO_USER)
    found = node.read("state")
    assert [row.payload for row in found.values] == [b"1"]
    assert [row.payload for row in found.events] == [b"2"]
    assert found.events[0].audience == TO_USER
    assert found.values[0].audience == Audience(exclude=frozenset({"s"}))
    node.offset("state", b"null")
    assert node.values("state") == []


def older_versions_are_refused_and_count_nowhere(setting: Setting) -> None:
    node = Node(setting)
    assert node.offset("table", b'{"id":1,"rev":5}') == 1
    refused = node.publish("table", b'{"id":1,"rev":4}')
    assert isinstance(refused, PublicationRefused)
    assert refused.refusal is Refusal.STALE
    assert "5" in refused.detail
    assert node.offset("table", b'{"id":2,"rev":1}') == 2
    assert node.offset("table", b'{"id":1,"rev":5}') == 3
    # The version outlives its value.
    node.offset("table", b'{"id":1,"rev":6,"gone":true}')
    assert isinstance(node.publish("table", b'{"id":1,"rev":5}'), PublicationRefused)


def versions_are_compared_exactly_whatever_numbers_they_are(setting: Setting) -> None:
    node = Node(setting)
    for number, (new, old) in enumerate(
        (
            (b"9007199254740993", b"9007199254740992"),
            (b"9223372036854775807", b"9223372036854775806"),
            (b"-3", b"-4"),
            (b"-3", b"-10"),
            (b"1", b"-10"),
            (b"1.5", b"1"),
            (b"1e3", b"999"),
        )
    ):
        topic = f"rev{number}"
        node.offset(topic, b'{"rev":%b}' % new)
        assert isinstance(node.publish(topic, b'{"rev":%b}' % old), PublicationRefused), new
        assert node.offset(topic, b'{"rev":%b}' % new) == 2


def a_publication_to_several_topics_is_stored_everywhere_or_nowhere(setting: Setting) -> None:
    node = Node(setting)
    setting.messages("plain")
    outcome = node.publish("log", b'{"id":1,"rev":5}', EVERYONE, "table", "plain")
    assert isinstance(outcome, Stored)
    assert [place and place.position.offset for place in outcome.places] == [1, 1, None]
    assert len(setting.messages("plain")) == 1
    stale = node.publish("log", b'{"id":1,"rev":4}', EVERYONE, "plain", "table")
    assert isinstance(stale, PublicationRefused)
    assert [offset for offset, _ in node.events("log")] == [1]
    assert len(setting.messages("plain")) == 1


def nodes_that_follow_get_the_event_with_its_position(setting: Setting) -> None:
    node = Node(setting)
    setting.messages("log")
    place = node.place(node.publish("log", b'{"a": "\\u00e4"}', TO_USER))
    (message,) = setting.messages("log")
    found = decoded(message, 10_000)
    assert found.position == place.position
    assert found.payload == b'{"a": "\\u00e4"}'
    assert found.audience == TO_USER
    assert found.run == place.run
    assert found.time is not None
    assert abs(found.time - place.time) < 0.002


def a_push_with_an_id_is_published_once_by_whatever_node(setting: Setting) -> None:
    first, second = Node(setting), Node(setting, "n2")
    outcome = first.publish("log", b"1", push=("p1", "d1"))
    assert isinstance(outcome, Stored)
    assert not outcome.is_repeated
    again = second.publish("log", b"1", push=("p1", "d1"))
    assert isinstance(again, Stored)
    assert again.is_repeated
    assert second.place(again).position == first.place(outcome).position
    other = second.publish("log", b"2", push=("p1", "d2"))
    assert isinstance(other, PublicationRefused)
    assert other.refusal is Refusal.ID_REUSED
    assert first.events("log") == [(1, b"1")]
    assert second.place(second.publish("log", b"3", push=("p2", "d3"))).position.offset == 2


def a_publication_that_is_sent_again_is_carried_out_once(setting: Setting) -> None:
    node, other = Node(setting), Node(setting, "n2")
    entry = Entry(1, Publication("log", b"1"))
    node.enter(entry)
    assert node.enter(entry) == Stored((), is_late=True)
    with_id = Entry(2, Publication("log", b"2"), "p", "d")
    place = node.place(node.enter(with_id))
    again = node.enter(with_id)
    assert isinstance(again, Stored)
    assert not again.is_repeated
    assert node.place(again).position == place.position
    # What the store answered the first time that another one had been the first, it answers again.
    repeated = Entry(2, Publication("log", b"2"), "p", "d")
    other.enter(Entry(1, Publication("plain", b"1")))
    for number in (3, 3):
        outcome = other.enter(repeated)
        assert isinstance(outcome, Stored)
        assert (outcome.is_repeated, outcome.is_late) == (True, False)
        other.enter(Entry(number, Publication("plain", b"3")))
    other = Node(setting, "n3")
    # Numbers of other nodes are others.
    assert other.enter(entry) != Stored((), is_late=True)
    assert [payload for _, payload in node.events("log")] == [b"1", b"2", b"1"]


def publications_of_a_node_are_carried_out_once_in_whatever_order(setting: Setting) -> None:
    node = Node(setting)

    def enter(number: int, settled: int = 0) -> bool:
        """Publish; return whether it was carried out now."""
        entry = Entry(number, Publication("plain", b"%d" % number), settled=settled)
        outcome = node.enter(entry)
        assert isinstance(outcome, Stored)
        return not outcome.is_late

    def done() -> list[int]:
        numbers = range(1, 13)
        entries = [Entry(number, Publication("plain", b"1")) for number in numbers]
        return [
            number for number, is_done in zip(numbers, node.ask(*entries), strict=True) if is_done
        ]

    assert enter(2)
    assert done() == [2]
    assert enter(9)
    assert enter(12)
    # At the beginning of what is missing, in its middle, at its end, and all of it.
    for number in (3, 6, 8, 1, 10):
        assert enter(number)
        assert not enter(number)
    assert done() == [1, 2, 3, 6, 8, 9, 10, 12]
    # What is not sent again need not be known.
    assert enter(4, settled=3)
    assert not enter(6, settled=5)
    assert enter(11)
    assert not enter(11, settled=11)
    assert enter(20, settled=15)
    assert [enter(number, settled=15) for number in (16, 19, 20)] == [True, True, False]


def what_is_sent_again_to_a_server_that_lacks_it_is_carried_out_again(setting: Setting) -> None:
    node = Node(setting)
    entries = [Entry(number, Publication("log", b"%d" % number)) for number in (1, 2, 3)]
    node.enter(entries[0])
    state = setting.remember()
    node.enter(entries[2])
    setting.go_back(state)
    node = Node(setting)
    for entry in (entries[2], entries[1], entries[0]):
        node.enter(entry)
    assert [payload for _, payload in node.events("log")] == [b"1", b"3", b"2"]


def a_node_can_ask_what_was_carried_out(setting: Setting) -> None:
    node, other = Node(setting), Node(setting, "n2")
    carried_out = Entry(1, Publication("plain", b"1"))
    later = Entry(3, Publication("log", b"3"), "later", "d")
    assert node.ask() == []
    assert node.ask(carried_out, later) == [False, False]
    node.enter(carried_out)
    # Without an id, the number says so, with one its claim: the push of another node is not ours.
    other.enter(Entry(1, Publication("plain", b"2"), "others", "d"))
    others = Entry(2, Publication("plain", b"2"), "others", "d")
    assert isinstance(node.enter(others), Stored)
    node.enter(later)
    never = Entry(4, Publication("plain", b"4"))
    refused = Entry(2, Publication("plain", b"5"), "refused", "d")
    assert node.ask(never, later, others, refused, carried_out) == [False, True, False, False, True]
    assert other.ask(carried_out, later) == [True, False]
    assert [payload for _, payload in node.events("log")] == [b"3"]


def a_topic_that_is_read_has_an_epoch_before_its_first_event(setting: Setting) -> None:
    node = Node(setting)
    assert list(node.tops("log")) == [None]
    before = node.read("log").position
    assert before.offset == 0
    assert before.epoch
    assert node.place(node.publish("log", b"1")).position.epoch == before.epoch
    (top, unknown) = node.tops("log", "state")
    assert top is not None
    assert top.position.offset == 1
    assert unknown is None


def much_is_read_in_slices(setting: Setting) -> None:
    node = Node(setting)
    size = 150_000
    for number in range(3):
        node.offset("log", b'"%d%b"' % (number, b"x" * size))
    found = node.read("log")
    rows = list(found.events)
    slices = 1
    while not found.is_whole:
        found = node.read("log", None, rows[-1].offset)
        rows += found.events
        slices += 1
        assert slices < 10
    assert [row.offset for row in rows] == [1, 2, 3]


def another_server_that_lacks_events_can_be_recognized(setting: Setting) -> None:
    node = Node(setting)
    node.offset("log", b"1")
    state = setting.remember()
    first = node.place(node.publish("log", b"2"))
    setting.go_back(state)
    node = Node(setting, "n3")
    second = node.place(node.publish("log", b"22"))
    assert second.position == first.position
    assert second.run != first.run
    runs = node.read("log").runs
    assert [(run.name, run.offset) for run in runs] == [(first.run, 0), (second.run, 1)]
    (top,) = node.tops("log")
    assert top == Top(second.position, second.run)


def an_epoch_ends_once(setting: Setting) -> None:
    node = Node(setting)
    setting.messages("log")
    before = node.place(node.publish("log", b"1")).position
    node.renew("log", before.epoch)
    found = node.read("log")
    assert found.previous == before.epoch
    assert found.position.epoch != before.epoch
    assert found.position.offset == 1
    assert len(setting.messages("log")) == 2
    # A node that has not noticed does not begin yet another.
    node.renew("log", before.epoch)
    assert node.read("log").position == found.position
    assert node.place(node.publish("log", b"2")).position.epoch == found.position.epoch


STEPS: Sequence[Callable[[Setting], None]] = (
    offsets_count_the_publications_of_all_nodes,
    what_a_topic_keeps_is_bounded_by_count,
    what_a_topic_keeps_is_bounded_by_size,
    what_is_too_old_goes,
    values_are_the_newest_by_key,
    only_events_for_everyone_are_values,
    older_versions_are_refused_and_count_nowhere,
    versions_are_compared_exactly_whatever_numbers_they_are,
    a_publication_to_several_topics_is_stored_everywhere_or_nowhere,
    nodes_that_follow_get_the_event_with_its_position,
    a_push_with_an_id_is_published_once_by_whatever_node,
    a_publication_that_is_sent_again_is_carried_out_once,
    publications_of_a_node_are_carried_out_once_in_whatever_order,
    what_is_sent_again_to_a_server_that_lacks_it_is_carried_out_again,
    a_node_can_ask_what_was_carried_out,
    a_topic_that_is_read_has_an_epoch_before_its_first_event,
    much_is_read_in_slices,
    another_server_that_lacks_events_can_be_recognized,
    an_epoch_ends_once,
)

__all__ = ["RULES", "STEPS", "Node", "Setting"]
