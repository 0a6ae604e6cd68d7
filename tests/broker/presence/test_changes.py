"""The events about joins and leaves of one topic."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.broker.world import FakeClock
from wampush.broker.presence.changes import BATCH_CHARACTERS, BATCH_USERS, SINGLY, TopicChanges
from wampush.broker.presence.delay_queue import DelayQueue
from wampush.clock import Clock


class Topic:
    """The changes of a topic with one watcher."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.watchers = {"watcher"}
        self.events: list[Any] = []
        self.idle = 0
        self.changes = TopicChanges(
            "room",
            interval=DelayQueue(0.2, Clock(lambda: self.clock.now, self.clock.call_later)),
            watchers=lambda: self.watchers,
            send=self._send,
            on_idle=self._on_idle,
        )

    def _send(self, payload: bytes) -> int:
        self.events.append(json.loads(payload))
        return len(self.watchers)

    def _on_idle(self) -> None:
        self.idle += 1

    def taken(self) -> list[Any]:
        events, self.events = self.events, []
        return events


@pytest.fixture
def topic():
    made = Topic()
    made.changes.add("first", True)
    assert made.taken() == [{"event": "join", "user": "first", "topic": "room"}]
    return made


def test_changes_within_an_interval_follow_after_it(topic):
    topic.changes.add("7", True)
    topic.changes.add("8", False)
    assert topic.taken() == []
    assert topic.changes.pending == {"7": True, "8": False}
    topic.clock.advance(0.2)
    assert topic.taken() == [
        {"event": "join", "user": "7", "topic": "room"},
        {"event": "leave", "user": "8", "topic": "room"},
    ]
    assert topic.changes.pending == {}


def test_a_join_and_a_leave_cancel_each_other(topic):
    topic.changes.add("7", True)
    topic.changes.add("7", False)
    topic.clock.advance(0.2)
    assert topic.taken() == []
    assert topic.idle == 1


def test_many_changes_are_one_event(topic):
    for number in range(SINGLY + 1):
        topic.changes.add(str(number), number % 2 == 0)
    topic.clock.advance(0.2)
    (event,) = topic.taken()
    assert event["event"] == "many"
    assert event["joined"] == [str(number) for number in range(0, SINGLY + 1, 2)]
    assert event["left"] == [str(number) for number in range(1, SINGLY + 1, 2)]


@pytest.mark.parametrize(
    ("users", "sizes"),
    [
        ([str(number) for number in range(BATCH_USERS + 1)], [BATCH_USERS, 1]),
        ([f"{number:0{BATCH_CHARACTERS + 1}}" for number in range(SINGLY + 1)], [1, SINGLY]),
    ],
)
def test_events_stay_small(topic, users, sizes):
    for user in users:
        topic.changes.add(user, True)
    for size in sizes:
        topic.clock.advance(0.2)
        assert sum(len(event.get("joined", ["one"])) for event in topic.taken()) == size
    assert topic.changes.pending == {}


def test_without_watchers_changes_are_dropped(topic):
    topic.watchers.clear()
    topic.changes.add("7", True)
    topic.clock.advance(0.2)
    assert topic.taken() == []
    assert topic.changes.pending == {}
    assert topic.idle == 1


def test_an_interval_without_changes_is_reported(topic):
    topic.clock.advance(0.2)
    assert topic.idle == 1
    assert topic.clock.pending == []
