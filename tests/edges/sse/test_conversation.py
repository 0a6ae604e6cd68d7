"""Event streams over connections in memory: begin, recovery, gaps, limits, ends."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.edges.sse.event_source import Stream, get
from tests.edges.websocket import in_memory
from tests.edges.websocket.in_memory import MemoryNode, MemoryTransport
from wampush.broker.pending import PASS, Verdict
from wampush.broker.publication import Audience, Publication
from wampush.config.tables.topics import TopicSettings
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.sse.formats import EventStreamFormat
from wampush.errors import CloseReason, Refusal

LOG = TopicSettings(match="log.*", history=200)
FEW = TopicSettings(match="few.*", history=3)
LAST = TopicSettings(match="last.*", last=True)


def node(**settings: Any) -> MemoryNode:
    return MemoryNode(topics=(LOG, FEW, LAST), **settings)


def messages(*values: int) -> list[tuple[str, int]]:
    return [("message", each) for each in values]


def test_a_stream_of_one_topic() -> None:
    server = node()
    stream = Stream(server, "/events?topic=log.a")
    assert stream.head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    assert 2000 <= stream.source.retry <= 4000
    ((name, value),) = stream.source.events
    assert (name, value) == ("wampush.session", {"session": stream.peer.subscriber.session_id})
    server.publish("log.a", b"1")
    server.publish("log.b", b"2")
    server.publish("log.a", b"[\n3]")
    assert stream.take() == [("message", 1), ("message", [3])]
    assert stream.source.last_id.endswith(":2")


def test_all_streams_of_a_topic_share_the_frame() -> None:
    server = node()
    first, second = (Stream(server, "/events?topic=log.a") for _ in range(2))
    assert first.peer.subscriber.outbox.format is second.peer.subscriber.outbox.format
    several = [
        Stream(server, f"/events?topic={each}") for each in ("x&topic=log.a", "log.a&topic=x")
    ]
    formats = {each.peer.subscriber.outbox.format for each in several}
    assert len(formats) == 1


def test_clients_that_were_lost_together_share_what_they_get_again() -> None:
    server = node()
    streams = [Stream(server, "/events?topic=log.a&topic=log.b&topic=log.c") for _ in range(4)]
    for topic in ("log.a", "log.b", "log.a"):
        server.publish(topic, b"1")
    for stream in streams:
        stream.take()
        stream.lose()
    for topic in ("log.c", "log.a", "log.c"):
        server.publish(topic, b"2")
    replays = server.broker.replays
    assert replays is not None
    assert not replays._runs._runs
    for stream in streams:
        stream.connect()
        assert stream.take() == [("log.a", 2), ("log.c", 2), ("log.c", 2)]
    # One for each topic with missed events, not for each client.
    assert [key.topic for key in replays._runs._runs] == ["log.a", "log.c"]
    (wire_format,) = {each.peer.subscriber.outbox.format for each in streams}
    assert type(wire_format) is EventStreamFormat


def test_a_client_that_was_away_gets_exactly_what_it_missed() -> None:
    server = node()
    stream = Stream(server, "/events?topic=log.a")
    server.publish("log.a", b"1")
    assert stream.take() == messages(1)
    stream.lose()
    server.publish("log.a", b"2")
    server.publish("log.a", b"3")
    stream.connect()
    server.publish("log.a", b"4")
    assert stream.take() == messages(2, 3, 4)


def test_a_client_that_was_cut_before_its_first_event_knows_where_it_was() -> None:
    server = node()
    server.publish("log.a", b"1")
    stream = Stream(server, "/events?topic=log.a")
    stream.lose()
    server.publish("log.a", b"2")
    stream.connect()
    assert stream.take() == messages(2)


def test_what_is_gone_is_announced_before_the_state() -> None:
    server = node()
    stream = Stream(server, "/events?topic=few.a&topic=last.a")
    stream.lose()
    for number in b"1234":
        server.publish("few.a", b"%c" % number)
    server.publish("last.a", b"5")
    server.publish("last.a", b"6")
    stream.connect()
    epoch = stream.source.last_id.partition(":")[0]
    assert stream.take() == [
        ("wampush.gap", {"topic": "few.a", "epoch": epoch, "offset": 4}),
        ("wampush.gap", {"topic": "last.a", "epoch": epoch, "offset": 2}),
        ("last.a", 6),
    ]
    stream.lose()
    stream.connect()
    assert stream.take() == []


def test_a_topic_without_history_has_a_gap_after_each_loss() -> None:
    server = node()
    stream = Stream(server, "/events?topic=bare")
    assert stream.source.last_id == "-"
    server.publish("bare", b"1")
    assert stream.take() == messages(1)
    stream.lose()
    stream.connect()
    assert stream.take() == [("wampush.gap", {"topic": "bare", "epoch": None, "offset": None})]


def test_a_page_may_begin_where_its_state_was_loaded() -> None:
    server = node()
    for number in b"123":
        server.publish("log.a", b"%c" % number)
    position = server.broker.position("log.a")
    assert position is not None
    stream = Stream(server, f"/events?topic=log.a&since={position.epoch}:1")
    assert stream.take() == messages(2, 3)


@pytest.mark.parametrize("topics", [("log.a",), ("log.a", "log.b", "log.c")])
@pytest.mark.parametrize("seed", range(5))
def test_streams_that_are_cut_anywhere_miss_nothing(topics: Sequence[str], seed: int) -> None:
    """Also in the middle of a block, and of the events that a client gets again."""
    server = node()
    choice = random.Random(seed)
    target = "/events?" + "&".join(f"topic={each}" for each in topics)
    streams = [Stream(server, target) for _ in range(3)]
    received: list[list[tuple[str, int]]] = [[] for _ in streams]
    sent: list[tuple[str, int]] = []
    for number in range(150):
        topic = choice.choice(topics)
        server.broker.publish(Publication(topic, b"%d" % number))
        sent.append((topic if len(topics) > 1 else "message", number))
        if choice.random() < 0.5:
            server.turn()
        for stream, got in zip(streams, received, strict=True):
            while choice.random() < 0.2:
                data = stream.rest + stream.peer.take()
                stream.source.feed(data[: choice.randint(0, len(data))])
                got.extend(stream.source.take())
                stream.lose()
                stream.connect(read=False)
    for stream, got in zip(streams, received, strict=True):
        got.extend(stream.take())
        assert len(got) == len(sent)
        for topic in {each for each, _ in sent}:
            assert [each for each in got if each[0] == topic] == [
                each for each in sent if each[0] == topic
            ]


def test_events_for_others_are_not_shown_later_either() -> None:
    server = node()
    stream = Stream(server, "/events?topic=log.a")
    stream.lose()
    server.broker.publish(Publication("log.a", b"1", Audience(eligible=frozenset(("other",)))))
    server.broker.publish(Publication("log.a", b"2"))
    stream.connect()
    assert stream.take() == messages(2)


class Judge:
    """An application that decides about subscriptions later."""

    judges_subscribing = True
    judges_publishing = False

    def __init__(self) -> None:
        self.decide: dict[str, Callable[[Verdict], None]] = {}

    def subscribing(self, _: object, request: Any, decide: Callable[[Verdict], None]) -> None:
        self.decide[request.topic] = decide

    def on_open(self, _: object) -> None:
        """Nothing to do."""

    def on_lost(self, _: object) -> None:
        """Nothing to do."""


def test_the_application_may_decide_later_about_each_topic() -> None:
    server = node()
    judge: Any = Judge()
    requests: Any = server.node.requests
    requests.application = judge
    stream = Stream(server, "/events?topic=log.a&topic=log.b")
    judge.decide["log.a"](PASS)
    server.publish("log.a", b"1")
    server.publish("log.b", b"2")
    assert stream.take() == [("log.a", 1)]
    assert stream.source.last_id.endswith(":1,-")
    judge.decide["log.b"](Verdict(Refusal.APPLICATION_REFUSED))
    ((name, value),) = stream.take()
    assert (name, value["topic"], value["reason"]) == (
        "wampush.refused",
        "log.b",
        Refusal.APPLICATION_REFUSED.code,
    )
    # The browser would ask again and again if the stream ended.
    assert stream.peer.connection.reason is None
    stream.lose()
    stream.connect()
    stream.lose()
    judge.decide["log.a"](PASS)
    assert server.broker.subscriptions.topic_count == 0


def test_the_stream_pings_with_comments_and_is_never_silent() -> None:
    server = node(settings=WebSocketSettings(ping_interval=10.0, silence_timeout=20.0))
    stream = Stream(server, "/events?topic=log.a")
    for _ in range(100):
        server.clock.advance(1.0)
    assert stream.take() == []
    assert 9 <= stream.source.comments <= 10
    assert stream.peer.connection.reason is None


def test_what_a_client_sends_is_ignored_until_it_is_too_much() -> None:
    server = node()
    stream = Stream(server, "/events?topic=log.a")
    stream.peer.send(b"x" * 16_384)
    server.publish("log.a", b"1")
    assert stream.take() == messages(1)
    stream.peer.send(b"x")
    assert stream.peer.connection.reason is CloseReason.FLOODING


class NarrowTransport(MemoryTransport):
    """Takes up to 50,000 bytes at a time."""

    def write(self, data: bytes) -> None:
        super().write(data)
        if self.producer is not None and len(self.value()) > 50_000:
            self.producer.pauseProducing()


def test_a_slow_client_gets_what_its_topics_keep_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = node(queue_bytes=400_000)
    topics = [f"log.{letter}" for letter in "abcdefgh"]
    stream = Stream(server, "/events?" + "&".join(f"topic={each}" for each in topics))
    stream.lose()
    for topic in topics:
        server.publish(topic, b'"%b"' % (topic.encode() * 18_000))
    monkeypatch.setattr(in_memory, "MemoryTransport", NarrowTransport)
    stream.connect(read=False)
    received: list[str] = []
    for _ in range(50):
        # Also what is published meanwhile comes in its place.
        server.publish("log.h", b"1")
        received += [name for name, value in stream.take() if value != 1]
        stream.peer.transport.producer.resumeProducing()
        server.clock.advance(0.1)
    assert stream.peer.connection.reason is None
    assert received == topics
    server.publish("log.h", b"2")
    stream.peer.transport.producer.resumeProducing()
    assert stream.take()[-1] == ("log.h", 2)


@pytest.mark.parametrize("topic", ["last.a", "bare"])
def test_a_slow_client_of_a_topic_without_events_is_dropped(topic: str) -> None:
    server = node(queue_bytes=300_000)
    stream = Stream(server, f"/events?topic={topic}")
    stream.peer.transport.producer.pauseProducing()
    for _ in range(20):
        server.publish(topic, b'"%b"' % (b"x" * 30_000))
    assert stream.peer.connection.reason is CloseReason.SLOW_CLIENT


def test_streams_end_with_the_server_and_without_a_close_frame() -> None:
    server = node()
    stream = Stream(server, "/events?topic=log.a")
    stream.peer.take()
    server.edge.stop(1.0)
    assert stream.peer.take() == b""
    assert stream.peer.transport.disconnecting
    assert stream.peer.connection.reason is CloseReason.SERVER_STOPPED


def test_a_lost_stream_leaves_nothing_behind() -> None:
    server = node()
    Stream(server, "/events?topic=log.a&topic=x").lose()
    assert server.broker.sessions == {}
    assert server.broker.subscriptions.topic_count == 0
    assert server.broker.memory.total == 0
    assert not server.edge.connections


def test_a_page_is_notified_when_its_session_is_ended() -> None:
    server = node()
    stream = Stream(server, "/events?topic=log.a")
    peer = stream.peer.subscriber.peer
    assert peer is not None
    peer.end(CloseReason.ENDED_BY_APPLICATION, "Banned.")
    peer.end(CloseReason.ENDED_BY_OPERATOR)
    end = {"reason": "ended-by-application", "text": "Banned."}
    assert stream.take() == [("wampush.end", end)]
    assert stream.peer.transport.disconnecting


def test_requests_after_the_first_are_not_read() -> None:
    server = node()
    peer = server.connect()
    peer.send(get("/events?topic=log.a") + get("/events?topic=log.b"))
    assert server.broker.subscriptions.topics(peer.subscriber) == {"log.a"}
