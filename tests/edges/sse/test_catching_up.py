"""Streams of slow clients catch up from the history, and are cut, and their ids are right."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from tests.edges.sse.event_source import Stream
from tests.edges.websocket import in_memory
from tests.edges.websocket.in_memory import MemoryNode, MemoryTransport
from wampush.broker.publication import Audience, Publication
from wampush.choices import CatchUpGap
from wampush.config.tables.topics import TopicSettings
from wampush.edges.sse.formats import EventStreamFormat
from wampush.errors import CloseReason

TOPICS = (
    TopicSettings(match="few.*", history=3, catch_up_gap=CatchUpGap.SKIP),
    TopicSettings(match="log.*", history=400),
    TopicSettings(match="state.*", last_by="id"),
)
FILLING = b"x" * 1000


class NarrowTransport(MemoryTransport):
    """Is full with each write, until what it has is read."""

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.producer is not None:
            self.producer.pauseProducing()


class SlowStream(Stream):
    """A client that reads when a test says so."""

    def stall(self) -> None:
        self.peer.transport.producer.pauseProducing()

    def read(self) -> list[tuple[str, Any]]:
        """Take what its system has, so that the server sends more."""
        found = self.take()
        if self.peer.transport.producer is not None:
            self.peer.transport.producer.resumeProducing()
            self.peer.node.turn()
        return found

    def read_all(self) -> list[tuple[str, Any]]:
        found: list[tuple[str, Any]] = []
        while part := self.read():
            found += part
        return found + self.read() + self.take()


def node() -> MemoryNode:
    return MemoryNode(topics=TOPICS, queue_bytes=300_000)


def publish(server: MemoryNode, topic: str, number: int) -> None:
    server.publish(topic, b'[%d,"%b"]' % (number, FILLING))


def numbers(events: Sequence[tuple[str, Any]], name: str) -> list[int]:
    return [value[0] for each, value in events if each == name]


@pytest.mark.parametrize("more", ["", "&topic=log.b", "&topic=log.b&topic=bare"])
def test_a_client_that_stops_reading_gets_all_later_and_keeps_little(more: str) -> None:
    server = node()
    slow = SlowStream(server, f"/events?topic=log.a{more}")
    others = [Stream(server, f"/events?topic=log.a{more}") for _ in range(2)]
    shared: Any = others[0].peer.subscriber.outbox.format
    slow.stall()
    for number in range(390):
        publish(server, "log.a", number)
    outbox = slow.peer.subscriber.outbox
    assert outbox.queued < 20_000
    server.publish("log.b", b"[-1]")
    name = "log.a" if more else "message"
    assert numbers(slow.read_all(), name) == list(range(390))
    assert outbox.catch_up is None
    assert f"id: {slow.source.last_id}\n\n".encode() == shared.current_id()
    assert outbox.format is shared
    slow.lose()
    publish(server, "log.a", 390)
    slow.connect()
    assert numbers(slow.take(), name) == [390]


def test_a_stream_that_is_alone_shares_a_format_that_knows_where_it_is() -> None:
    server = node()
    slow = SlowStream(server, "/events?topic=log.a&topic=log.b")
    slow.stall()
    for number in range(100):
        publish(server, "log.a", number)
    assert type(slow.peer.subscriber.outbox.format) is not EventStreamFormat
    slow.read_all()
    server.publish("log.b", b"[0]")
    assert slow.take() == [("log.b", [0])]
    assert type(slow.peer.subscriber.outbox.format) is EventStreamFormat
    slow.lose()
    slow.connect()
    assert slow.take() == []


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("topics", [("log.a",), ("log.a", "log.b", "log.c")])
def test_streams_that_stall_and_are_cut_anywhere_miss_nothing(
    monkeypatch: pytest.MonkeyPatch, topics: Sequence[str], seed: int
) -> None:
    monkeypatch.setattr(in_memory, "MemoryTransport", NarrowTransport)
    server = node()
    choice = random.Random(seed)
    target = "/events?" + "&".join(f"topic={each}" for each in topics)
    streams = [SlowStream(server, target) for _ in range(3)]
    received: list[list[tuple[str, Any]]] = [[] for _ in streams]
    sent: list[tuple[str, int]] = []
    for number in range(300):
        topic = choice.choice(topics)
        server.broker.publish(Publication(topic, b'[%d,"%b"]' % (number, FILLING)))
        sent.append((topic if len(topics) > 1 else "message", number))
        if choice.random() < 0.5:
            server.turn()
        for stream, got in zip(streams, received, strict=True):
            if choice.random() < 0.15:
                got.extend(stream.read())
            elif choice.random() < 0.02:
                data = stream.rest + stream.peer.take()
                stream.source.feed(data[: choice.randint(0, len(data))])
                got.extend(stream.source.take())
                stream.lose()
                stream.connect(read=False)
    for stream, got in zip(streams, received, strict=True):
        for _ in range(600):
            got.extend(stream.read())
            server.clock.advance(0.1)
        assert stream.peer.connection.reason is None
        assert [each for each, _ in got if each.startswith("wampush.")] == []
        for name in {each for each, _ in sent}:
            assert numbers(got, name) == [number for each, number in sent if each == name]


def test_what_is_for_others_is_not_read_later_either() -> None:
    server = node()
    slow = SlowStream(server, "/events?topic=log.a&topic=log.b")
    slow.stall()
    for number in range(50):
        publish(server, "log.a", number)
    other = Audience(eligible=frozenset(["other"]))
    server.broker.publish(Publication("log.a", b"[-1]", other))
    publish(server, "log.a", 50)
    assert numbers(slow.read_all(), "log.a") == list(range(51))


def test_a_page_is_notified_of_a_gap_even_where_others_skip_it() -> None:
    server = node()
    slow = SlowStream(server, "/events?topic=few.a")
    slow.stall()
    for number in range(100):
        publish(server, "few.a", number)
    slow.peer.transport.producer.resumeProducing()
    server.turn()
    assert slow.peer.connection.reason is CloseReason.SLOW_CLIENT
    slow.take()
    slow.source.cut()
    slow.connect()
    assert [name for name, _ in slow.take()] == ["wampush.gap"]


def test_a_client_that_is_cut_before_it_has_all_that_its_topics_keep_gets_it_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = MemoryNode(topics=TOPICS, queue_bytes=100_000)
    topics = [f"state.{letter}" for letter in "abcdefgh"]
    for topic in topics:
        for number in range(20):
            server.publish(topic, b'{"id":%d,"x":"%b"}' % (number, FILLING))
    monkeypatch.setattr(in_memory, "MemoryTransport", NarrowTransport)
    slow = SlowStream(server, "/events?" + "&".join(f"topic={each}" for each in topics))
    outbox = slow.peer.subscriber.outbox
    assert outbox.queued < 100_000
    assert outbox.catch_up is not None
    received = slow.read() + slow.read() + slow.read()
    slow.lose()
    server.publish(topics[-1], b'{"id":20}')
    slow.connect()
    received += slow.read_all()
    for topic in topics:
        keys = [value["id"] for name, value in received if name == topic]
        assert set(keys) == set(range(21 if topic == topics[-1] else 20))
    assert slow.peer.subscriber.outbox.catch_up is None
    assert type(slow.peer.subscriber.outbox.format) is EventStreamFormat
