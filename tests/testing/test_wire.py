"""The connection of a client in memory."""

from __future__ import annotations

from wampush.broker.delivery.backpressure import Backpressure
from wampush.broker.identity import ANONYMOUS
from wampush.broker.publication import Position
from wampush.errors import CloseReason
from wampush.testing.clock import ThreadedClock
from wampush.testing.wire import MemoryOutbox, MemoryPeer


def test_messages_arrive_one_by_one() -> None:
    texts: list[bytes] = []
    outbox = MemoryOutbox(1000, Backpressure(1000, ThreadedClock().callLater), texts.append)
    outbox.append(outbox.format.reply(b'[3,"1",null]') + outbox.format.event("a", b"{\n}", None))
    outbox.append(outbox.format.reply('[3,"2","ü"]'.encode()))
    assert texts == []
    outbox.flush()
    assert texts == [b'[3,"1",null]', b'[8,"a",{\n}]', '[3,"2","ü"]'.encode()]
    assert outbox.queued == 0
    outbox.overflow()
    assert outbox.closed


def test_events_with_positions() -> None:
    plain = MemoryOutbox(1000, Backpressure(1000, ThreadedClock().callLater), print).format
    position = Position("e", 7)
    assert plain.event("a", b"1", position)[4:] == b'[8,"a",1]'
    positions = plain.with_positions
    assert positions.with_positions is positions
    assert positions.event("a", b"1", position)[4:] == b'[8,"a",1,7]'
    assert positions.event("a", b"1", None)[4:] == b'[8,"a",1]'
    assert [each.shows_gaps for each in (plain, positions)] == [False, True]
    assert plain.for_catching_up("a", position) is plain.caught_up(lambda _: None) is plain


def test_a_connection_ends_once() -> None:
    ends: list[str] = []
    peer = MemoryPeer("192.0.2.7", False, lambda: ends.append("ended"))
    assert peer.accept_identity(ANONYMOUS)
    peer.end(CloseReason.ENDED_BY_APPLICATION, "enough")
    peer.end(CloseReason.SLOW_CLIENT)
    assert (peer.ended, peer.detail) == (CloseReason.ENDED_BY_APPLICATION, "enough")
    assert ends == ["ended"]
    assert not peer.accept_identity(ANONYMOUS)
