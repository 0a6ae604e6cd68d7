"""A connection from accept to loss: time, limits, ends, and what is left afterwards."""

from __future__ import annotations

import gc
import struct
import subprocess
import sys
import weakref
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.edges.websocket.in_memory import (
    ADDRESS,
    Frame,
    MemoryNode,
    change_rules,
    frames,
    masked,
    request,
)
from tests.support.waiting import PATIENCE
from wampush.broker.identity import Identity
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.websocket.closing import LINGER_SECONDS, Closing
from wampush.edges.websocket.outboxes import TransportOutbox
from wampush.edges.websocket.timer_wheel import CROWD
from wampush.errors import CloseReason

SETTINGS = WebSocketSettings(ping_interval=30.0, silence_timeout=60.0, handshake_timeout=5.0)


def pass_time(node: MemoryNode, seconds: float) -> None:
    """Time goes by in steps shorter than a tick."""
    for _ in range(int(seconds * 2)):
        node.clock.advance(0.5)


# Ends.


@pytest.mark.parametrize(
    ("frame", "reason", "code"),
    [
        (masked(b"", first=0x88), CloseReason.PEER_CLOSED, 1000),
        (masked(struct.pack("!H", 1000), first=0x88), CloseReason.PEER_CLOSED, 1000),
        (masked(struct.pack("!H", 4999) + b"bye", first=0x88), CloseReason.PEER_CLOSED, 4999),
        (masked(struct.pack("!H", 1001), first=0x88), CloseReason.PEER_CLOSED, 1001),
        (masked(struct.pack("!H", 3000), first=0x88), CloseReason.PEER_CLOSED, 3000),
        (masked(struct.pack("!H", 999), first=0x88), CloseReason.PROTOCOL_VIOLATION, 1002),
        (masked(struct.pack("!H", 5000), first=0x88), CloseReason.PROTOCOL_VIOLATION, 1002),
        (masked(b"\x03", first=0x88), CloseReason.PROTOCOL_VIOLATION, 1002),
        (masked(struct.pack("!H", 1005), first=0x88), CloseReason.PROTOCOL_VIOLATION, 1002),
        (masked(struct.pack("!H", 1000) + b"\xff", first=0x88), CloseReason.INVALID_PAYLOAD, 1007),
        (masked(b"x", first=0x83), CloseReason.PROTOCOL_VIOLATION, 1002),
        (masked(b"\xff"), CloseReason.INVALID_PAYLOAD, 1007),
        (masked(b"", length=70_000), CloseReason.MESSAGE_TOO_LARGE, 1009),
    ],
)
def test_ends_are_counted_and_send_a_close_frame(
    frame: bytes, reason: CloseReason, code: int
) -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    peer.subscribe("t")
    peer.send(frame)
    (close,) = frames(peer.take())
    assert close.first == 0x88
    assert struct.unpack("!H", close.payload[:2]) == (code,)
    assert node.ledger.ended == {reason: 1}
    assert peer.transport.disconnecting
    assert not peer.transport.disconnected, "what is queued must still go out"
    assert peer.connection.reason is reason
    peer.lose()
    assert node.ledger.ended == {reason: 1}, "an end is counted once"
    assert node.broker.subscriptions.topic_count == 0
    assert node.broker.sessions == {}
    assert node.edge.connections == set()


def test_what_was_queued_goes_out_before_the_close_frame() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    peer.subscribe("t")
    peer.take()
    peer.connection.dataReceived(
        masked(b'[7,"t",1,false]') + masked(b'[2,"c","p"]') + masked(b"p", first=0x89)
        + masked(b"", first=0x88) + masked(b'[2,"late","p"]')
    )  # fmt: skip
    event, error, pong, close = frames(peer.take())
    assert event.payload == b'[8,"t",1]'
    assert error.payload.startswith(b'[4,"c",')
    assert pong == Frame(0x8A, b"p")
    assert close.payload == struct.pack("!H", 1000)


def test_a_lost_connection_is_counted_as_lost() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    peer.lose()
    assert node.ledger.ended == {CloseReason.PEER_LOST: 1}
    assert node.lines == []


def test_ending_a_lost_connection_in_on_lost_does_nothing() -> None:
    node = MemoryNode(SETTINGS)

    def on_lost(subscriber: Any) -> None:
        subscriber.peer.end(CloseReason.ENDED_BY_APPLICATION)
        node.broker.fanout.reply(subscriber.outbox, b"nobody hears")
        node.node.requests.become(subscriber, Identity("7"))

    application: Any = SimpleNamespace(on_open=lambda _: None, on_lost=on_lost)
    handler: Any = node.node.requests
    handler.application = application
    peer = node.open()
    peer.lose()
    assert peer.take() == b""
    assert node.ledger.ended == {CloseReason.PEER_LOST: 1}
    assert node.edge.timer_wheel.waiting == 0
    assert node.edge.shared.admission._users == {}


def test_a_connection_lost_before_its_handshake_leaves_nothing() -> None:
    node = MemoryNode(SETTINGS)
    for data in (b"", b"GET / HT", request()[:-1]):
        peer = node.connect()
        peer.send(data)
        peer.lose()
    assert node.edge.connections == set()
    assert node.edge.timer_wheel.waiting == 0
    assert node.broker.sessions == {}


def test_nothing_is_read_after_the_end() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    peer.send(masked(b"", first=0x88))
    peer.take()
    peer.connection.dataReceived(masked(b'[5,"t"]'))
    peer.connection.dataReceived(request())
    assert peer.take() == b""
    assert node.broker.subscriptions.topic_count == 0


def test_drop_and_finish_after_the_end_do_nothing() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    peer.connection.end(CloseReason.SERVER_STOPPED)
    peer.connection.end(CloseReason.SERVER_STOPPED)
    peer.connection.drop(CloseReason.SLOW_CLIENT)
    assert node.ledger.ended == {CloseReason.SERVER_STOPPED: 1}
    assert not peer.transport.disconnected


def test_a_slow_client_is_dropped_by_abort() -> None:
    node = MemoryNode(SETTINGS, queue_bytes=10_000)
    slow, other = node.open(), node.open()
    for peer in (slow, other):
        peer.subscribe("t")
    node.turn()
    assert isinstance(slow.connection.outbox, TransportOutbox)
    slow.connection.outbox.pauseProducing()
    payload = b'"' + b"x" * 1000 + b'"'
    # The transport is full, so it gets nothing more.
    node.publish("t", payload)
    assert slow.take() == b""
    for _ in range(8):
        node.publish("t", payload)
    assert not slow.transport.disconnected
    for _ in range(3):
        node.publish("t", payload)
    assert slow.transport.disconnected
    assert slow.take() == b"", "no Close frame, so that clients come back"
    assert node.ledger.ended == {CloseReason.SLOW_CLIENT: 1}
    assert slow.connection.outbox.chunks == []
    assert node.pressure.total == 0
    slow.lose()
    assert len(frames(other.take())) == 12
    assert node.ledger.ended == {CloseReason.SLOW_CLIENT: 1}


@pytest.mark.parametrize("frame", [masked(b"", first=0x88), masked(b"\xff")])
def test_an_end_without_room_for_its_close_frame_is_counted_once(frame: bytes) -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    peer.subscribe("t")
    outbox = peer.connection.outbox
    assert isinstance(outbox, TransportOutbox)
    outbox.pauseProducing()
    node.publish("t", b"1")
    node.publish("t", b"2")
    outbox.limit = outbox.queued
    peer.send(frame)
    assert peer.transport.disconnected
    assert node.ledger.ended == {CloseReason.SLOW_CLIENT: 1}
    peer.send(masked(b"", first=0x88))
    peer.lose()
    assert node.ledger.ended == {CloseReason.SLOW_CLIENT: 1}
    assert node.edge.timer_wheel.waiting == 0


# The handshake.


def test_a_connection_knows_its_client_from_accept_on() -> None:
    node = MemoryNode(SETTINGS, trusted=("127.0.0.1",))
    unmade = node.edge.buildProtocol(ADDRESS)
    assert unmade.peer == unmade.address == ""
    peer = node.connect()
    assert peer.connection.peer == peer.connection.address == "127.0.0.1"
    peer.open("X-Forwarded-For: 192.0.2.1")
    assert peer.connection.peer == "127.0.0.1"
    assert peer.connection.address == "192.0.2.1"


def test_what_was_agreed_on_compression_counts_both_ways() -> None:
    node = MemoryNode(WebSocketSettings(compression=True))
    peer = node.open("Sec-WebSocket-Extensions: permessage-deflate")
    deflater = zlib.compressobj(wbits=-15)
    text = b'[5,"t"]'
    data = deflater.compress(text) + deflater.flush(zlib.Z_SYNC_FLUSH)
    peer.send(masked(data.removesuffix(b"\x00\x00\xff\xff"), first=0xC1))
    node.publish("t", b'"' + b"x" * 1000 + b'"')
    (event,) = frames(peer.take())
    assert event.first == 0xC1
    assert len(event.payload) < 100


def test_frames_in_the_same_read_as_the_request_are_read() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.connect()
    peer.send(request() + masked(b'[5,"t"]') + masked(b"", first=0x88))
    assert node.ledger.ended == {CloseReason.PEER_CLOSED: 1}
    assert node.broker.subscriptions.topic_count == 1
    assert not peer.transport.disconnected


@pytest.mark.parametrize("later", [True, False])
def test_a_defect_of_the_authenticator_drops_the_connection(later: bool) -> None:
    node = MemoryNode(SETTINGS)
    answer: Deferred[Identity] = Deferred()
    authenticator: Any = SimpleNamespace(all_anonymous=False, authenticate=lambda _: answer)
    change_rules(node.edge, authenticator=authenticator)
    if not later:
        answer.errback(ValueError("defect"))
    peer = node.connect()
    with capturedLogs() as logged:
        peer.send(request())
        if later:
            assert not peer.transport.disconnected
            answer.errback(ValueError("defect"))
    assert peer.transport.disconnected
    assert peer.take() == b""
    assert node.ledger.ended == {CloseReason.INTERNAL_ERROR: 1}
    failures = [event for event in logged if "log_failure" in event]
    assert [event["log_namespace"] for event in failures] == ["wampush.websocket"]
    assert failures[0]["log_failure"].check(ValueError)


# Messages out.


def test_messages_of_a_conversation_go_out_while_the_connection_is_open() -> None:
    node = MemoryNode(SETTINGS)
    early, peer = node.connect(), node.open()
    for connection in (early.connection, peer.connection):
        connection.write_text(b"text")
        connection.write_binary(b"\xff")
    assert early.take() == b""
    assert frames(peer.take()) == [Frame(0x81, b"text"), Frame(0x82, b"\xff")]
    peer.connection.end(CloseReason.CLOSED_BY_COMPONENT, "why", 4000)
    peer.connection.write_text(b"late")
    peer.connection.write_binary(b"late")
    assert frames(peer.take()) == [Frame(0x88, struct.pack("!H", 4000) + b"why")]
    peer.lose()
    peer.connection.write_text(b"late")
    peer.connection.write_binary(b"late")
    assert peer.take() == b""


def test_a_reason_with_a_close_code_is_sent_before_the_end() -> None:
    node = MemoryNode(SETTINGS)
    connecting, peer = node.connect(), node.open()
    for each in (connecting, peer):
        each.connection.end(CloseReason.ENDED_BY_APPLICATION, "why")
    assert connecting.transport.disconnecting
    assert connecting.take() == b""
    (close,) = frames(peer.take())
    assert close.payload == struct.pack("!H", 3000) + b"why"
    assert node.ledger.ended == {CloseReason.ENDED_BY_APPLICATION: 2}


ANSWER = masked(struct.pack("!H", 3000), first=0x88)
LONG = masked(b"x" * 300, first=0x82)
REST = masked(b"x" * 300, first=0x80)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", ANSWER),
        (b"", masked(b"[7]") + ANSWER),
        (LONG[:1], LONG[1:] + ANSWER),
        (LONG[:7], LONG[7:] + ANSWER),
        (LONG[:150], LONG[150:] + ANSWER),
        (masked(b"x", first=0x01) + REST[:9], REST[9:] + ANSWER),
        (masked(b"", length=60_000), bytes(60_000) + ANSWER),
        (ANSWER[:-1], ANSWER[-1:]),
    ],
    ids=["answer", "after a message", "1", "7", "150", "fragment", "long", "part of the answer"],
)
def test_a_close_of_the_server_waits_for_the_answer(before: bytes, after: bytes) -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    peer.send(before)
    peer.connection.end(CloseReason.ENDED_BY_APPLICATION, "why")
    for byte in after[:-1]:
        peer.send(bytes((byte,)))
        assert not peer.transport.disconnecting
    peer.send(after[-1:])
    assert peer.transport.disconnecting
    assert not peer.transport.disconnected
    assert node.ledger.ended == {CloseReason.ENDED_BY_APPLICATION: 1}


@pytest.mark.parametrize("kind", ["fast", "Autobahn"])
def test_the_answer_may_come_in_the_read_that_ends_the_connection(kind: str) -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    connection = peer.connection

    def end(_: bytes) -> None:
        connection.end(CloseReason.ENDED_BY_APPLICATION, "why")

    conversation: Any = SimpleNamespace(subscriber=None, on_text=end, on_lost=lambda: None)
    connection.conversation = conversation
    first = (
        masked(b"[7]") if kind == "fast" else masked(b"[7", first=0x01) + masked(b"]", first=0x80)
    )
    peer.send(first + masked(b"not seen") + ANSWER)
    assert peer.transport.disconnecting
    assert peer.connection.data == b""
    assert node.ledger.ended == {CloseReason.ENDED_BY_APPLICATION: 1}


@pytest.mark.parametrize("paused", [True, False])
def test_the_answer_may_have_come_before_the_close_of_a_client_that_is_not_read(
    paused: bool,
) -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    if paused:
        peer.connection.read_turns.pause(peer.connection)
        peer.connection.dataReceived(masked(b"[7]") + ANSWER)
    peer.connection.end(CloseReason.ENDED_BY_APPLICATION, "why")
    assert peer.transport.disconnecting is paused


def test_a_client_that_does_not_answer_is_closed_in_time() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    peer.connection.end(CloseReason.ENDED_BY_APPLICATION, "why")
    pass_time(node, LINGER_SECONDS - 1)
    assert not peer.transport.disconnecting
    pass_time(node, 2)
    assert peer.transport.disconnecting


# Identity.


def test_a_connection_ends_when_its_identity_expires() -> None:
    node = MemoryNode(SETTINGS)
    node.edge.shared = replace(node.edge.shared, now=node.clock.seconds)
    peer = node.open()
    peer.become(Identity("7", expires=20.0))
    pass_time(node, 10)
    peer.become(Identity("7", expires=40.0))
    pass_time(node, 28)
    assert not peer.transport.disconnected
    pass_time(node, 4)
    assert peer.transport.disconnected
    assert node.ledger.ended == {CloseReason.IDENTITY_EXPIRED: 1}


def test_an_ended_connection_accepts_no_identity() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    assert peer.connection.accept_identity(Identity("7"))
    peer.connection.drop(CloseReason.SILENT)
    assert not peer.connection.accept_identity(Identity("8"))
    assert node.edge.shared.admission._users == {"7": 1}


# Time.


def test_a_silent_client_is_pinged_and_dropped() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    pass_time(node, 29)
    assert peer.take() == b""
    pass_time(node, 3)
    assert frames(peer.take()) == [Frame(0x89, b"")]
    pass_time(node, 26)
    assert not peer.transport.disconnected
    pass_time(node, 6)
    assert peer.transport.disconnected
    assert node.ledger.ended == {CloseReason.SILENT: 1}
    assert frames(peer.take()) in ([], [Frame(0x89, b"")]), "no Close frame"


@pytest.mark.parametrize(
    "answer",
    [masked(b"", first=0x8A), masked(b"x", first=0x8A), masked(b'[5,"t"]'), masked(b"x")[:3]],
    ids=["empty pong", "pong", "message", "part of a frame"],
)
def test_any_bytes_of_a_client_are_a_sign_of_life(answer: bytes) -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    pings = 0
    for index in range(20):
        pass_time(node, 15)
        if index % 3 == 0:
            peer.connection.dataReceived(answer[:1] if len(answer) == 3 else answer)
            if len(answer) == 3:
                # Only the first byte of a frame, then the rest of it: heard both times.
                peer.connection.dataReceived(masked(b"x")[1:])
        pings += frames(peer.take()).count(Frame(0x89, b""))
    assert not peer.transport.disconnecting
    assert 3 <= pings <= 10
    assert node.edge.timer_wheel.waiting == 1


def test_clients_that_send_are_not_pinged() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    for _ in range(20):
        pass_time(node, 10)
        peer.send(masked(b'[5,"t"]'))
    assert peer.take() == b""


def test_clients_that_come_together_are_not_pinged_together_for_ever() -> None:
    node = MemoryNode(SETTINGS)
    peers = [node.open() for _ in range(4 * CROWD)]
    for each in peers:
        each.take()
    pings = []
    for _ in range(4 * 31):
        pass_time(node, 1)
        pinged = [each for each in peers if each.take()]
        for each in pinged:
            each.send(masked(b"", first=0x8A))
        pings.append(len(pinged))
    # Each is pinged about as often as if it were alone.
    assert 3.5 * len(peers) <= sum(pings) <= 5 * len(peers)
    assert max(pings) <= CROWD
    assert not any(each.transport.disconnecting for each in peers)


def test_a_silence_timeout_beyond_two_pings_sends_more_pings() -> None:
    node = MemoryNode(WebSocketSettings(ping_interval=10.0, silence_timeout=45.0))
    peer = node.open()
    pass_time(node, 44)
    assert frames(peer.take()) == [Frame(0x89, b"")] * 4
    pass_time(node, 5)
    assert peer.transport.disconnected


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nHost: a\r\n", request()[:-1]])
def test_a_handshake_has_to_be_complete_in_time(data: bytes) -> None:
    node = MemoryNode(SETTINGS)
    peer = node.connect()
    for index in range(8):
        peer.send(data[index : index + 1])
        node.clock.advance(0.5)
        assert not peer.transport.disconnecting
    peer.send(data[8:])
    pass_time(node, 3)
    assert peer.transport.disconnected
    assert node.ledger.ended == {CloseReason.HANDSHAKE_TIMEOUT: 1}
    peer.lose()
    assert node.edge.timer_wheel.waiting == 0


def test_clients_that_do_not_read_the_end_are_aborted() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    peer.send(masked(b"", first=0x88))
    assert peer.transport.disconnecting
    assert not peer.transport.disconnected
    pass_time(node, 12)
    assert peer.transport.disconnected


# Limits.


def test_what_comes_after_a_refusal_is_thrown_away() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.connect()
    peer.connection.dataReceived(request(subprotocol=None))
    assert peer.transport.disconnecting
    # TLS delivers until the peer has ended its side too.
    peer.connection.dataReceived(b"x" * 100_000)
    peer.connection.dataReceived(request())
    assert isinstance(peer.connection.stage, Closing)
    assert peer.connection.data == b""
    assert node.broker.sessions == {}


def test_fragments_do_not_pile_up() -> None:
    node = MemoryNode(WebSocketSettings(max_message_bytes=1000))
    peer = node.open()
    peer.send(masked(b"", first=0x01))
    for _ in range(50):
        peer.send(masked(b"", first=0x00) * 20)
    assert peer.connection.message_data == []
    for _ in range(1000):
        peer.send(masked(b"x", first=0x00))
    assert node.ledger.ended == {}
    peer.send(masked(b"x", first=0x00))
    assert node.ledger.ended == {CloseReason.MESSAGE_TOO_LARGE: 1}


def test_a_flood_ends_the_session_and_others_notice_nothing() -> None:
    node = MemoryNode(per_second=1.0, burst=5)
    flooding, other = node.open(), node.open()
    for _ in range(5):
        flooding.subscribe("news")
    assert not flooding.transport.disconnecting
    flooding.subscribe("news")
    assert flooding.transport.disconnecting
    assert node.ledger.ended[CloseReason.FLOODING] == 1
    other.subscribe("news")
    assert not other.transport.disconnecting


@pytest.mark.parametrize(
    "flood",
    [
        masked(b"", first=0x89) * 6,
        masked(b"x", first=0x8A) * 6,
        masked(b"[", first=0x01) + masked(b"", first=0x00) * 6,
    ],
    ids=["pings", "pongs", "fragments"],
)
def test_small_frames_that_are_no_messages_are_a_flood_too(flood: bytes) -> None:
    node = MemoryNode(per_second=1.0, burst=5)
    peer = node.open()
    peer.send(flood)
    assert peer.transport.disconnecting
    assert node.ledger.ended[CloseReason.FLOODING] == 1
    assert node.ledger.refusals() == {}


def test_a_client_out_of_allowance_may_close() -> None:
    node = MemoryNode(per_second=1.0, burst=1)
    peer = node.open()
    peer.send(masked(b"", first=0x89) + masked(b"\x03\xe8", first=0x88))
    assert node.ledger.ended == {CloseReason.PEER_CLOSED: 1}


def test_the_allowance_comes_back_with_time() -> None:
    node = MemoryNode(per_second=2.0, burst=2)
    peer = node.open()
    for _ in range(3):
        peer.subscribe("news")
        node.clock.advance(1)
    assert not peer.transport.disconnecting


def test_a_reconnect_does_not_renew_the_burst() -> None:
    node = MemoryNode(per_second=2.0, burst=10, most_per_address=5, trusted=("127.0.0.1",))
    first = node.open("X-Forwarded-For: 192.0.2.1")
    for _ in range(9):
        first.subscribe("news")
    assert not first.transport.disconnecting
    first.lose()
    second = node.open("X-Forwarded-For: 192.0.2.1")
    for _ in range(3):
        second.subscribe("news")
    assert second.transport.disconnecting
    assert node.ledger.ended[CloseReason.FLOODING] == 1


def test_binary_frames_count_as_messages() -> None:
    node = MemoryNode(per_second=0.01, burst=2)
    peer = node.open()
    for _ in range(3):
        peer.send(masked(b"x", first=0x82))
    assert peer.transport.disconnecting


# What is kept.


def connections_with_dictionary() -> int:
    """How many of fifty connections have a dictionary of their own."""
    node = MemoryNode(SETTINGS)
    peers = [node.connect() for _ in range(50)]
    for peer in peers:
        peer.open()
        peer.subscribe("t")
    return sum(
        # Attributes that CPython keeps without a dictionary are referents themselves.
        any(
            isinstance(each, dict) and "lifecycle" in each
            for each in gc.get_referents(peer.connection)
        )
        for peer in peers
    )


def test_a_connection_needs_no_dictionary_of_its_own() -> None:
    # In a process of its own: each attribute that a test sets takes one of the 30 names that the
    # instances of a class can share.
    name = "tests.edges.websocket.test_connection"
    code = f"from {name} import connections_with_dictionary as count; print(count())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.stdout == "0\n", done.stderr


def test_nothing_keeps_a_lost_connection() -> None:
    node = MemoryNode(SETTINGS)
    node.open()
    gc.collect()
    gc.disable()
    try:
        for stream in (
            b"",
            masked(b'[5,"t"]') + masked(b'[1,"p","http://example.com/"]'),
            masked(b'[5,"t"]', first=0x01) + masked(b"", first=0x80),
            masked(b"p", first=0x89),
            masked(b"", first=0x88),
            masked(b"\xff"),
            masked(b"part of a message", first=0x01),
            masked(b"part of a frame")[:-3],
        ):
            peer = node.open()
            peer.send(stream)
            node.publish("t", b"1")
            peer.lose()
            left = weakref.ref(peer.connection)
            # The transport of a real connection forgets its protocol as well.
            del peer
            assert left() is None, stream
    finally:
        gc.enable()
    assert len(node.edge.connections) == 1
    assert len(node.broker.sessions) == 1
    assert node.edge.timer_wheel.waiting == 1


def test_nothing_keeps_the_queue_of_a_lost_connection() -> None:
    node = MemoryNode(SETTINGS)
    peer = node.open()
    peer.subscribe("t")
    outbox = peer.connection.outbox
    assert isinstance(outbox, TransportOutbox)
    outbox.pauseProducing()
    node.publish("t", b"1")
    node.publish("t", b"2")
    assert outbox.chunks
    assert node.pressure.total > 0
    peer.lose()
    assert outbox.closed
    assert outbox.chunks == []
    assert node.pressure.total == 0
    assert peer.connection.outbox is None
    node.publish("t", b"1")


def test_a_session_over_the_limit_of_its_new_user_is_dropped_with_its_old_identity() -> None:
    node = MemoryNode(SETTINGS)
    node.edge.shared.admission._max_per_user = 1
    first, second = node.open(), node.open()
    first.become(Identity("7"))
    subscriber = second.subscriber
    second.become(Identity("7"))
    assert second.transport.disconnected
    assert node.ledger.ended == {CloseReason.TOO_MANY_OF_USER: 1}
    assert subscriber.identity.user is None
    assert set(node.broker.users.of_user("7")) == {first.subscriber}
    first.become(Identity("8"))
    assert node.edge.shared.admission._users == {"8": 1}
