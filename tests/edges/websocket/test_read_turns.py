"""Reading takes a bounded share of a turn, and publishers wait while the sources pause."""

from __future__ import annotations

from typing import Any

import pytest

from tests.edges.websocket.in_memory import MemoryNode, Peer, masked
from wampush.broker.delivery.backpressure import Hold
from wampush.edges.websocket.read_turns import BRIEF_SECONDS, READ_SECONDS
from wampush.wamp.uris import PROCEDURE_TIME

#: Seconds that each message takes on the clock of these tests.
COST = READ_SECONDS / 5
PER_TURN = round(READ_SECONDS / COST) + 1


class SlowNode(MemoryNode):
    """A node in which every message of a client takes a while, and turns pass one by one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.read: list[bytes] = []
        handler: Any = self.node.requests
        on_text = handler.on_text

        def take(subscriber: object, text: bytes) -> None:
            self.read.append(text)
            self.clock.rightNow += COST
            on_text(subscriber, text)

        handler.on_text = take

    def one_turn(self) -> list[bytes]:
        """Run what is scheduled by now; return the messages that were read in it."""
        self.read.clear()
        scheduled: Any = self.clock.getDelayedCalls()
        due = [each for each in scheduled if each.getTime() <= self.clock.rightNow]
        for each in sorted(due, key=lambda call: call.getTime()):
            if each.active():
                self.clock.calls.remove(each)
                each.called = 1
                each.func(*each.args, **each.kw)
        return list(self.read)


def call(number: int) -> bytes:
    return masked(f'[2,"{number}","{PROCEDURE_TIME}"]'.encode())


def calls(count: int) -> bytes:
    return b"".join(map(call, range(count)))


def publication(number: int, size: int = 10, topic: str = "t") -> bytes:
    return masked(f'[7,"{topic}","{number:0{size}}"]'.encode())


def is_paused(peer: Peer) -> bool:
    return bool(peer.transport.producerState == "paused")


def test_a_burst_of_one_client_is_read_over_several_turns():
    node = SlowNode()
    peer = node.open()
    node.read.clear()
    peer.connection.dataReceived(calls(20))
    assert len(node.read) == PER_TURN
    assert is_paused(peer), "more could arrive without limit"
    turns = [len(node.one_turn()) for _ in range(4)]
    assert sum(turns) == 20 - PER_TURN
    assert max(turns) <= PER_TURN
    assert not is_paused(peer)
    assert not peer.connection.data


def test_the_messages_of_a_burst_keep_their_order():
    node = SlowNode()
    peer = node.open()
    node.read.clear()
    peer.connection.dataReceived(calls(12) + call(12)[:-3])
    read = list(node.read)
    while is_paused(peer):
        read += node.one_turn()
    node.read.clear()
    peer.connection.dataReceived(call(12)[-3:])
    read += node.read
    assert [text.split(b'"')[1] for text in read] == [str(number).encode() for number in range(13)]


@pytest.mark.parametrize("first", [0x82, 0x89], ids=["binary", "ping"])
def test_frames_that_autobahn_reads_have_the_same_share(first):
    node = SlowNode()
    peer = node.open()
    node.read.clear()
    peer.connection.dataReceived(masked(b"x", first=first) + calls(20))
    assert len(node.read) == PER_TURN
    assert is_paused(peer)
    while is_paused(peer):
        assert node.one_turn()
    assert not peer.connection.data


def test_many_bursts_share_the_turn():
    node = SlowNode()
    peers = [node.open() for _ in range(10)]
    node.read.clear()
    for peer in peers:
        peer.connection.dataReceived(calls(20))
    brief = round(BRIEF_SECONDS / COST) + 1
    assert len(node.read) <= PER_TURN + 9 * brief
    most = 0
    while any(map(is_paused, peers)):
        most = max(most, len(node.one_turn()))
    assert most <= PER_TURN
    node.turn()
    assert all(peer.transport.value().count(b"[3,") == 20 for peer in peers)


def test_a_client_with_one_message_does_not_wait_for_bursts():
    node = SlowNode()
    burst, other = node.open(), node.open()
    burst.connection.dataReceived(calls(20))
    node.read.clear()
    other.connection.dataReceived(call(7))
    assert len(node.read) == 1
    assert not is_paused(other)


def test_bytes_that_arrive_after_the_pause_are_kept():
    node = SlowNode()
    peer = node.open()
    node.read.clear()
    peer.connection.dataReceived(calls(10))
    peer.connection.dataReceived(calls(3))
    assert len(node.read) == PER_TURN
    read = PER_TURN
    while is_paused(peer):
        read += len(node.one_turn())
    assert read == 13


def test_a_client_that_ends_meanwhile_is_not_read_on():
    node = SlowNode()
    peer, other = node.open(), node.open()
    peer.connection.dataReceived(calls(20))
    other.connection.dataReceived(calls(20))
    peer.lose()
    other.connection.on_overflow()
    node.read.clear()
    node.turn()
    assert not node.read
    assert peer.connection not in node.edge.shared.read_turns
    assert other.connection not in node.edge.shared.read_turns


def test_a_publisher_is_not_read_while_the_sources_pause():
    node = MemoryNode()
    publisher, reader = node.open(), node.open()
    reader.subscribe("t")
    reader.take()
    node.pressure.hold(Hold.CROWD)
    publisher.send(b"".join(map(publication, range(20))))
    assert is_paused(publisher)
    assert reader.take().count(b"[8,") == 1
    node.clock.advance(3)
    assert reader.take().count(b"[8,") == 0
    node.pressure.release(Hold.CROWD)
    assert reader.take().count(b"[8,") == 19
    assert not is_paused(publisher)


def test_a_publisher_stays_paused_when_the_sources_pause_again_at_once():
    node = MemoryNode()
    publisher, reader = node.open(), node.open()
    reader.subscribe("t")
    reader.take()
    node.pressure.hold(Hold.CROWD)
    publisher.send(b"".join(map(publication, range(20))))
    reader.take()
    node.pressure.release(Hold.CROWD)
    node.pressure.hold(Hold.CROWD)
    assert reader.take().count(b"[8,") == 0
    assert is_paused(publisher)
    node.pressure.release(Hold.CROWD)
    assert reader.take().count(b"[8,") == 19


def test_the_last_message_pauses_a_publisher_too():
    node = MemoryNode()
    publisher = node.open()
    node.open().subscribe("t")
    node.pressure.hold(Hold.CROWD)
    publisher.send(publication(1))
    assert is_paused(publisher)
    node.pressure.release(Hold.CROWD)
    node.turn()
    assert not is_paused(publisher)


def test_clients_that_do_not_publish_are_read_during_a_pause():
    node = MemoryNode()
    peer = node.open()
    node.pressure.hold(Hold.CROWD)
    peer.send(calls(5))
    assert peer.take().count(b"[3,") == 5
    assert not is_paused(peer)


def test_a_publisher_that_waits_for_a_pause_is_not_silent():
    node = MemoryNode()
    publisher = node.open()
    node.pressure.hold(Hold.CROWD)
    publisher.send(b"".join(map(publication, range(20))))
    for _ in range(10):
        node.clock.advance(30)
    assert publisher.connection.reason is None
    node.pressure.release(Hold.CROWD)
    node.turn()
    assert not is_paused(publisher)
