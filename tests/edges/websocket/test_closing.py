"""The end of a connection: the rest in slices, counted; the half-close; the bounds of each step."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from tests.edges.websocket.in_memory import MemoryNode, frames, masked
from tests.edges.websocket.wire import Wire
from wampush.broker.delivery.backpressure import PATIENCE, Backpressure
from wampush.broker.delivery.chunks import SLICE_BYTES, Chunk
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.websocket.closing import (
    DISCARD_BYTES,
    LINGER_SECONDS,
    SEND_SECONDS,
    Closing,
    Leftover,
    SocketClosing,
    TlsClosing,
    TransportClosing,
    WaitFor,
)
from wampush.edges.websocket.lifecycle import Event
from wampush.edges.websocket.outboxes import TransportOutbox
from wampush.edges.websocket.timer_wheel import TimerWheel
from wampush.errors import CloseReason

CHUNK = 10_000


class Rig:
    """A closing on a wire that takes nothing yet, with what the outbox gave the transport."""

    def __init__(
        self,
        kind: type[Closing],
        *,
        chunks: int = 0,
        wait_for: WaitFor = WaitFor.END_OF_STREAM,
        limit: int = 10**9,
    ) -> None:
        self.clock = Clock()
        self.pressure = Backpressure(limit, self.clock.callLater)
        reactor: Any = self.clock
        self.wheel = TimerWheel(reactor, 0.25)
        self.wheel.start()
        self.events: list[Event] = []
        #: mypy would take its flags for constants.
        self.wire: Any = Wire()
        in_flight = CHUNK if chunks else 0
        self.wire.write(b"i" * in_flight)
        waiting: list[Chunk] = [bytes([65 + index % 26]) * CHUNK for index in range(chunks)]
        self.expected = b"i" * in_flight + b"".join(waiting)
        self.pressure.on_queued(len(self.expected))
        leftover = Leftover(self.wire, self.pressure, waiting, in_flight)
        self.closing = kind(leftover, self.wheel, self.events.append, wait_for=wait_for)
        self.closing.start()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)

    def send_everything(self) -> None:
        for _ in range(100):
            self.wire.turn(SLICE_BYTES)


@pytest.fixture(params=[SocketClosing, TlsClosing, TransportClosing])
def kind(request: pytest.FixtureRequest) -> type[Closing]:
    kind: type[Closing] = request.param
    return kind


def test_the_rest_is_counted_until_it_is_sent(kind: type[Closing]) -> None:
    rig = Rig(kind, chunks=300)
    total = len(rig.expected)
    assert rig.pressure.total == rig.closing.queued == total
    held = len(rig.wire.dataBuffer) + rig.wire._tempDataLen
    assert held < total / 2, "the transport gets slices"
    seen = [rig.pressure.total]
    while not rig.events:
        rig.wire.turn(SLICE_BYTES)
        seen.append(rig.pressure.total)
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) > 4, "it is counted down slice by slice"
    rig.send_everything()
    assert bytes(rig.wire.sent) == rig.expected
    assert rig.events == [Event.SENT]
    rig.closing.cancel()
    assert rig.pressure.total == 0
    assert rig.wheel.waiting == 0


@pytest.mark.parametrize("chunks", [0, 1, 40])
def test_a_plain_socket_is_closed_on_our_side_only(chunks: int) -> None:
    rig = Rig(SocketClosing, chunks=chunks)
    assert not rig.wire.half_closed
    rig.send_everything()
    assert rig.wire.half_closed
    assert rig.wire.sent == rig.expected
    assert not rig.wire.ended
    assert rig.pressure.total == 0
    rig.closing.receive(b"x" * 70_000)
    rig.pass_time(LINGER_SECONDS - 0.5)
    assert not rig.wire.ended
    rig.pass_time(1)
    assert len(rig.wire.ended) == 1
    assert not rig.wire.aborted, "the kernel may still be sending"


def test_tls_waits_for_the_client_after_close_notify() -> None:
    rig = Rig(TransportClosing, chunks=40)
    # Twisted's TLS sends close_notify in loseConnection, and reads on.
    rig.wire.loseConnection = lambda: rig.events.append(Event.LOST)
    rig.send_everything()
    assert rig.events == [Event.SENT, Event.LOST]
    assert not rig.wire.half_closed
    rig.pass_time(SEND_SECONDS - 0.5)
    assert not rig.wire.aborted
    rig.pass_time(1)
    assert rig.wire.aborted
    assert rig.events[-1] is Event.DROPPED
    assert rig.pressure.total == 0


ANSWER = masked(b"\x03\xe8", first=0x88)


@pytest.mark.parametrize("chunks", [0, 40])
def test_our_side_stays_open_until_the_client_has_answered(
    kind: type[Closing], chunks: int
) -> None:
    rig = Rig(kind, chunks=chunks, wait_for=WaitFor.CLOSE_FRAME)
    closed: list[None] = []
    rig.wire.loseConnection = rig.wire.loseWriteConnection = lambda: closed.append(None)
    rig.send_everything()
    assert rig.events == [Event.SENT]
    rig.closing.receive(masked(b"[7]") + ANSWER[:-1])
    rig.pass_time(LINGER_SECONDS - 0.5)
    assert not closed
    rig.closing.receive(ANSWER[-1:])
    assert len(closed) == 1
    assert rig.wheel.waiting == 1, "the client gets time to close its side"
    rig.closing.receive(b"x")
    assert len(closed) == 1


def test_an_answer_before_everything_is_sent(kind: type[Closing]) -> None:
    rig = Rig(kind, chunks=40, wait_for=WaitFor.CLOSE_FRAME)
    closed: list[None] = []
    rig.wire.loseConnection = rig.wire.loseWriteConnection = lambda: closed.append(None)
    rig.closing.skip(3, is_close=False)
    rig.closing.receive(b"\x88\x80\0" + ANSWER)
    assert not closed
    rig.send_everything()
    assert len(closed) == 1
    assert rig.wire.sent == rig.expected


def test_a_client_that_does_not_answer(kind: type[Closing]) -> None:
    rig = Rig(kind, wait_for=WaitFor.CLOSE_FRAME)
    closed: list[None] = []
    rig.wire.loseConnection = lambda: closed.append(None)
    rig.pass_time(LINGER_SECONDS - 0.5)
    assert not closed
    rig.pass_time(1)
    assert len(closed) == 1
    assert not rig.wire.half_closed
    assert not rig.wire.aborted


def test_without_a_wait_the_socket_is_closed_once_everything_is_sent(kind: type[Closing]) -> None:
    rig = Rig(kind, chunks=40, wait_for=WaitFor.NOTHING)
    rig.send_everything()
    assert rig.wire.sent == rig.expected
    assert len(rig.wire.ended) == 1
    assert not rig.wire.half_closed
    rig.closing.cancel()
    assert rig.pressure.total == 0


def test_a_client_that_does_not_read_the_rest_is_dropped(kind: type[Closing]) -> None:
    rig = Rig(kind, chunks=300)
    rig.pass_time(SEND_SECONDS - 0.5)
    assert not rig.wire.aborted
    rig.pass_time(1)
    assert rig.wire.aborted
    assert rig.events == [Event.DROPPED]
    assert rig.pressure.total == 0
    rig.send_everything()
    assert rig.events == [Event.DROPPED]


@pytest.mark.parametrize("sent", [True, False])
def test_a_client_that_does_not_stop_sending_is_dropped(kind: type[Closing], sent: bool) -> None:
    rig = Rig(kind, chunks=0 if sent else 40)
    for _ in range(DISCARD_BYTES // 2**20):
        rig.closing.receive(bytes(2**20))
    assert not rig.wire.aborted
    rig.closing.receive(b"x")
    assert rig.wire.aborted
    assert rig.events[-1] is Event.DROPPED
    assert rig.pressure.total == 0
    assert rig.wheel.waiting == 0


def test_while_too_much_waits_clients_that_read_nothing_are_dropped(kind: type[Closing]) -> None:
    rig = Rig(kind, chunks=300, limit=500_000)
    assert rig.pressure.paused
    # The first period began before the connection was closing.
    rig.pass_time(2 * PATIENCE + 0.5)
    assert rig.wire.aborted
    assert rig.events == [Event.DROPPED]
    assert not rig.pressure.paused


@pytest.mark.parametrize("wait_for", [WaitFor.NOTHING, WaitFor.END_OF_STREAM])
def test_a_record_that_the_socket_does_not_take_does_not_keep_it_open(wait_for: WaitFor) -> None:
    rig = Rig(TlsClosing, wait_for=wait_for)
    # What the transport has put there itself, and counts as sent.
    rig.wire.write(b"record")
    rig.pass_time(LINGER_SECONDS + 1)
    assert not rig.wire.aborted
    rig.pass_time(SEND_SECONDS)
    assert rig.wire.aborted
    assert rig.events == [Event.SENT, Event.DROPPED]
    assert rig.wheel.waiting == 0


def test_a_transport_that_is_gone_frees_the_rest(kind: type[Closing]) -> None:
    rig = Rig(kind, chunks=300)
    rig.wire.broken = True
    rig.wire.turn(1)
    rig.closing.cancel()
    assert rig.pressure.total == 0
    assert rig.wheel.waiting == 0


# In a connection.


def test_bytes_that_wait_are_counted_after_a_client_has_closed() -> None:
    node = MemoryNode(WebSocketSettings(), queue_bytes=10**6)
    peers = [node.open() for _ in range(20)]
    for peer in peers:
        peer.subscribe("t")
        outbox = peer.connection.outbox
        assert isinstance(outbox, TransportOutbox)
        outbox.pauseProducing()
    for _ in range(9):
        node.publish("t", b'"' + b"x" * 100_000 + b'"')
    before = node.pressure.total
    assert before > 15_000_000
    for peer in peers:
        peer.send(masked(b"", first=0x88))
        assert node.ledger.ended[CloseReason.PEER_CLOSED]
    # StringTransport never reports that it has sent anything.
    assert node.pressure.total >= before
    for peer in peers:
        peer.lose()
    assert node.pressure.total == 0


def test_a_lingering_connection_reads_nothing_and_ends() -> None:
    node = MemoryNode(WebSocketSettings())
    peer = node.open()
    peer.subscribe("t")
    peer.connection.end(CloseReason.ENDED_BY_APPLICATION, "why")
    peer.connection.dataReceived(masked(b'[5,"u"]'))
    node.publish("t", b"1")
    (close,) = frames(peer.take())
    assert close.first == 0x88
    assert node.broker.subscriptions.topic_count == 1
    peer.connection.dataReceived(bytes(DISCARD_BYTES))
    assert peer.transport.disconnected
    assert node.ledger.ended == {CloseReason.ENDED_BY_APPLICATION: 1}, "an end is counted once"
    peer.lose()
    assert node.edge.timer_wheel.waiting == 0
    assert node.broker.subscriptions.topic_count == 0
