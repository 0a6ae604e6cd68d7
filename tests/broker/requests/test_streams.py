"""Subscriptions whose outcome is reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.broker.world import Client, World
from wampush.broker.history.rule import HistoryRule
from wampush.broker.pending import PASS, Verdict
from wampush.broker.publication import Position, Publication
from wampush.broker.requests.streams import StreamSubscribe
from wampush.errors import MessageRefused, Refusal


class Report:
    """What is reported of a client's subscriptions."""

    def __init__(self, world: World, client: Client) -> None:
        self._world = world
        self._client = client
        self.lines: list[tuple[str, str]] = []
        self.effects = 0

    def subscribe(self, topic: str, since: Position | None = None) -> None:
        request = StreamSubscribe(topic, since, self)
        self._world.clients.on_stream(self._client.subscriber, request)

    def on_gap(self, topic: str) -> None:
        self.lines.append((topic, "gap"))

    def on_effect(self) -> None:
        self.effects += 1

    def on_outcome(self, topic: str, error: MessageRefused | None) -> None:
        self.lines.append((topic, "subscribed" if error is None else error.refusal.code))


@pytest.fixture
def world() -> World:
    return World(history=(("log", HistoryRule(events=2)),))


@pytest.fixture
def report(world: World) -> Report:
    for number in range(3):
        world.broker.publish(Publication("log", b"%d" % number))
    return Report(world, world.client())


def epoch(world: World) -> str:
    position = world.broker.position("log")
    assert position is not None
    return position.epoch


def events(world: World, report: Report) -> list[Any]:
    world.end_turn()
    return [json.loads(text)[2] for text in report._client.texts if text.startswith(b"[8")]


def test_a_new_client_is_subscribed(world: World, report: Report) -> None:
    report.subscribe("a")
    assert report.lines == [("a", "subscribed")]
    assert world.broker.subscriptions.topics(report._client.subscriber) == {"a"}


def test_a_client_that_returns_gets_what_it_missed(world: World, report: Report) -> None:
    report.subscribe("log", Position(epoch(world), 1))
    assert report.lines == [("log", "subscribed")]
    assert events(world, report) == [1, 2]


@pytest.mark.parametrize("known", [Position("", 0), None])
def test_a_gap_is_reported_first(world: World, report: Report, known: Position | None) -> None:
    report.subscribe("log", known or Position(epoch(world), 0))
    assert report.lines == [("log", "gap"), ("log", "subscribed")]


def test_a_topic_without_history_always_has_a_gap(world: World, report: Report) -> None:
    report.subscribe("bare", Position("", 0))
    assert report.lines == [("bare", "gap"), ("bare", "subscribed")]
    assert world.broker.position("bare") is None


def test_a_refusal_is_reported_and_counted(world: World, report: Report) -> None:
    report.subscribe("x" * 5000)
    assert report.lines == [("x" * 5000, Refusal.CLIENT_TOPIC_TOO_LONG.code)]
    assert sum(world.ledger.refused.values()) == 1


class Judge:
    """An application that decides about subscriptions later."""

    judges_subscribing = True
    judges_publishing = False

    def __init__(self) -> None:
        self.decide: Callable[[Verdict], None] = lambda _: None

    def subscribing(self, _: object, __: object, decide: Callable[[Verdict], None]) -> None:
        self.decide = decide

    def on_lost(self, _: object) -> None:
        """Nothing to do."""


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (PASS, "subscribed"),
        (Verdict(Refusal.APPLICATION_REFUSED), Refusal.APPLICATION_REFUSED.code),
    ],
)
def test_the_outcome_follows_the_verdict(
    world: World, report: Report, verdict: Verdict, outcome: str
) -> None:
    judge: Any = Judge()
    clients: Any = world.clients
    clients.application = judge
    report.subscribe("a")
    assert report.lines == []
    judge.decide(verdict)
    assert report.lines == [("a", outcome)]
    assert report.effects == (outcome == "subscribed")


def test_nothing_is_reported_of_a_session_that_has_ended(world: World, report: Report) -> None:
    judge: Any = Judge()
    clients: Any = world.clients
    clients.application = judge
    report.subscribe("a")
    world.clients.on_lost(report._client.subscriber)
    judge.decide(PASS)
    assert report.lines == []


def test_a_check_before_the_session_opens_uses_no_rate(report: Report, world: World) -> None:
    subscriber = report._client.subscriber
    world.clients.check_stream(subscriber, "a")
    assert subscriber.buckets is None
    with pytest.raises(MessageRefused) as raised:
        world.clients.check_stream(subscriber, "")
    assert raised.value.refusal is Refusal.CLIENT_TOPIC_EMPTY
