"""Plain WebSocket components over a connection: frames, ends, limits, time, who may connect."""

from __future__ import annotations

import gc
import struct
import weakref
import zlib
from typing import Any

import pytest

from tests.apps.sample_components import Held, Scripted
from tests.edges.websocket.component_in_memory import Client, ComponentEdge
from tests.edges.websocket.in_memory import Frame, frames, masked, request
from wampush.apps.component import ComponentConnection
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.ledger import Source
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.websocket.outboxes import TransportOutbox
from wampush.errors import CloseReason
from wampush.net.origins import Origins


def echo(conn: ComponentConnection, data: str | bytes) -> None:
    conn.send(data)


def close_frame(client: Client) -> tuple[int, bytes]:
    """Code and reason of the last frame."""
    last = client.frames()[-1]
    assert last.first == 0x88
    return struct.unpack("!H", last.payload[:2])[0], last.payload[2:]


# Messages.


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
@pytest.mark.parametrize("first", [0x81, 0x82])
def test_text_and_binary_go_both_ways(size: int, first: int):
    component = Scripted(on_message=echo)
    edge = ComponentEdge(component, WebSocketSettings(max_message_bytes=100_000))
    client = edge.open()
    client.send(masked(b"x" * size, first=first))
    assert client.frames() == [Frame(first, b"x" * size)]
    seen = component.calls[-1][2]
    assert seen == (b"x" * size if first == 0x82 else "x" * size)
    assert edge.ledger.ended == {}


def test_fragments_make_one_message():
    component = Scripted()
    client = ComponentEdge(component).open()
    euro = "€".encode()
    for first, part in ((0x01, euro[:1]), (0x00, euro[1:2]), (0x80, euro[2:])):
        client.send(masked(part, first=first))
        client.send(masked(b"p", first=0x89))
    for first, part in ((0x02, b"\xff"), (0x00, b""), (0x80, b"\xfe")):
        client.send(masked(part, first=first))
    assert component.calls[1:] == [("on_message", 1, "€"), ("on_message", 1, b"\xff\xfe")]
    assert client.frames() == [Frame(0x8A, b"p")] * 3


def test_messages_of_one_read_come_in_order_whatever_their_kind():
    component = Scripted()
    client = ComponentEdge(component).open()
    client.send(
        masked(b"1") + masked(b"2", first=0x82) + masked(b"3") + masked(b"", first=0x8A)
        + masked(b"4", first=0x02) + masked(b"5", first=0x80) + masked(b"6")
    )  # fmt: skip
    assert [call[2] for call in component.calls[1:]] == ["1", b"2", "3", b"45", "6"]
    ledger = client.edge.ledger
    assert ledger.received == ledger.accepted == {Source.COMPONENT: 5}


def test_messages_are_inflated_and_deflated():
    component = Scripted(on_message=echo)
    settings = WebSocketSettings(compression=True, compression_min_bytes=10)
    client = ComponentEdge(component, settings).open("Sec-WebSocket-Extensions: permessage-deflate")
    deflate = zlib.compressobj(wbits=-15)
    long = b"abc" * 1000
    packed = (deflate.compress(long) + deflate.flush(zlib.Z_SYNC_FLUSH)).removesuffix(
        b"\x00\x00\xff\xff"
    )
    for first in (0xC1, 0xC2):
        client.send(masked(packed, first=first))
        (answer,) = client.frames()
        assert answer.first == first
        inflated = zlib.decompressobj(wbits=-15).decompress(answer.payload + b"\x00\x00\xff\xff")
        assert inflated == long
        assert len(answer.payload) < 100
        client.send(masked(b"short", first=first & 0xBF))
        assert client.frames() == [Frame(first & 0xBF, b"short")]


def test_what_goes_to_many_is_deflated_once(monkeypatch: pytest.MonkeyPatch):
    clients: list[ComponentConnection] = []

    def relay(_: ComponentConnection, data: str | bytes) -> None:
        for each in clients:
            each.send(data)

    settings = WebSocketSettings(compression=True, compression_min_bytes=10)
    edge = ComponentEdge(Scripted(on_open=clients.append, on_message=relay), settings)
    offer = "Sec-WebSocket-Extensions: permessage-deflate"
    same = [edge.open(offer) for _ in range(3)]
    narrow, plain = edge.open(f"{offer}; server_max_window_bits=9"), edge.open()
    made: list[object] = []
    make = zlib.compressobj

    def counting(**options: Any) -> object:
        made.append(options)
        return make(**options)

    monkeypatch.setattr(zlib, "compressobj", counting)
    same[0].send(masked(b"the same for all of them" * 10))
    assert len({client.take() for client in same}) == 1
    assert len(made) == 2
    assert narrow.frames()[0].first == 0xC1
    assert plain.frames() == [Frame(0x81, b"the same for all of them" * 10)]


def test_what_is_sent_in_on_open_follows_the_handshake_in_one_write():
    edge = ComponentEdge(Scripted(on_open=lambda conn: conn.send(f"you are {conn.id}")))
    client = edge.connect()
    answer = client.shake()
    head, _, rest = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    assert frames(rest) == [Frame(0x81, b"you are 1")]


def test_frames_behind_the_handshake_are_messages():
    component = Scripted()
    client = ComponentEdge(component).connect()
    client.send(request(subprotocol=None) + masked(b"early") + masked(b"bird", first=0x82))
    assert component.calls == [
        ("on_open", 1),
        ("on_message", 1, "early"),
        ("on_message", 1, b"bird"),
    ]


def test_order_is_kept_between_clients_and_kinds():
    clients: list[ComponentConnection] = []

    def relay(_: ComponentConnection, data: str | bytes) -> None:
        for each in clients:
            each.send(data)

    edge = ComponentEdge(Scripted(on_open=clients.append, on_message=relay))
    ann, bob = edge.open(), edge.open()
    for number in range(50):
        (ann, bob)[number % 2].send(masked(b"%d" % number, first=0x81 + number % 2))
    expected = [Frame(0x81 + number % 2, b"%d" % number) for number in range(50)]
    assert ann.frames() == bob.frames() == expected


# What a component sees of a client.


def test_request_identity_and_address():
    seen: list[ComponentConnection] = []
    edge = ComponentEdge(Scripted(on_open=seen.append))
    edge.open("Cookie: theme=dark", target="/chat/b%C3%A4r?name=Ann+B&room=1&room=2&empty=")
    (conn,) = seen
    assert conn.request.path == "/chat/b%C3%A4r"
    assert conn.request.query == "name=Ann+B&room=1&room=2&empty="
    assert conn.request.parameters == {"name": "Ann B", "room": "1", "empty": ""}
    assert conn.request.cookies == {"theme": "dark"}
    assert conn.request.headers["host"] == "127.0.0.1"
    assert conn.request.address == "127.0.0.1"
    assert conn.identity.source == "anonymous"
    assert conn.subprotocol is None


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [("v2", "v2"), ("other, v1, v2", "v1"), ("other", None), (None, None)],
)
def test_the_first_offered_subprotocol_that_is_known_is_agreed_on(
    offered: str | None, chosen: str | None
):
    seen: list[ComponentConnection] = []
    edge = ComponentEdge(Scripted(on_open=seen.append), subprotocols=("v1", "v2"))
    answer = edge.connect().shake(subprotocol=offered)
    assert (f"\r\nSec-WebSocket-Protocol: {chosen}\r\n".encode() in answer) == bool(chosen)
    assert seen[0].subprotocol == chosen


def test_no_subprotocol_is_needed_and_wamp_is_not_spoken():
    edge = ComponentEdge()
    assert b"Sec-WebSocket-Protocol" not in edge.connect().shake(subprotocol="wamp")
    assert edge.settings.require_subprotocol


# Who may connect.


@pytest.mark.parametrize(
    ("origin", "own", "status"),
    [
        (None, None, 101),
        ("http://127.0.0.1:8000", None, 101),
        ("http://shop.example", None, 403),
        ("http://shop.example", ("http://shop.example",), 101),
        ("http://127.0.0.1:8000", ("http://shop.example",), 403),
        ("http://any.example", ("*",), 101),
        ("null", ("*",), 101),
        ("null", ("https://*",), 403),
    ],
)
def test_a_route_may_have_origins_of_its_own(
    origin: str | None, own: tuple[str, ...] | None, status: int
):
    edge = ComponentEdge(origins=Origins(own, null=False) if own else None)
    more = [] if origin is None else [f"Origin: {origin}"]
    answer = edge.connect().shake(*more)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    if status == 403:
        assert edge.ledger.ended == {CloseReason.ORIGIN_FORBIDDEN: 1}
        assert b"or in the origins of the route." in answer


def test_the_identity_is_known_when_the_component_sees_the_client():
    seen: list[ComponentConnection] = []
    edge = ComponentEdge(Scripted(on_open=seen.append), identity=Identity("7", source="token"))
    edge.open()
    assert seen[0].identity.user == "7"


def test_clients_that_only_wamp_cra_could_authenticate_are_refused():
    component = Scripted()
    edge = ComponentEdge(component, identity=Identity(expires=99.0, source=AWAITING))
    answer = edge.connect().shake()
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"WAMP-CRA is available on WAMP connections only." in answer
    assert component.calls == []


def test_a_connection_ends_when_its_identity_expires():
    component = Scripted()
    edge = ComponentEdge(component, identity=Identity("7", expires=20.0, source="token"))
    client = edge.open()
    assert component.calls == [("on_open", 1)]
    edge.pass_time(19)
    assert not client.transport.disconnected
    edge.pass_time(3)
    assert client.transport.disconnected
    assert edge.ledger.ended == {CloseReason.IDENTITY_EXPIRED: 1}
    client.lose()
    assert component.calls[-1] == ("on_close", 1)


# Ends.


@pytest.mark.parametrize(
    ("frame", "reason", "code"),
    [
        (masked(b"", first=0x88), CloseReason.PEER_CLOSED, 1000),
        (masked(struct.pack("!H", 4001) + b"bye", first=0x88), CloseReason.PEER_CLOSED, 4001),
        (masked(b"\xff"), CloseReason.INVALID_PAYLOAD, 1007),
        (masked(b"\xe2\x82", first=0x81), CloseReason.INVALID_PAYLOAD, 1007),
        (masked(b"x", first=0x83), CloseReason.PROTOCOL_VIOLATION, 1002),
        (masked(b"x" * 65_537), CloseReason.MESSAGE_TOO_LARGE, 1009),
        (masked(b"x" * 65_537, first=0x82), CloseReason.MESSAGE_TOO_LARGE, 1009),
    ],
)
def test_ends_send_a_close_frame_and_call_on_close(frame: bytes, reason: CloseReason, code: int):
    component = Scripted()
    edge = ComponentEdge(component)
    client = edge.open()
    client.send(frame)
    assert close_frame(client)[0] == code
    assert edge.ledger.ended == {reason: 1}
    assert component.calls == [("on_open", 1)]
    client.lose()
    assert component.calls == [("on_open", 1), ("on_close", 1)]
    assert edge.edge.connections == set()


def test_a_component_closes_once_everything_is_sent():
    def on_message(conn: ComponentConnection, data: str) -> None:
        conn.send("last words")
        conn.close(4001, data)
        conn.send("nothing")

    component = Scripted(on_message=on_message)
    edge = ComponentEdge(component)
    client = edge.open()
    client.send(masked(b"g\xc3\xbcle") + masked(b"not seen"))
    words, close = client.frames()
    assert words == Frame(0x81, b"last words")
    assert close == Frame(0x88, struct.pack("!H", 4001) + "güle".encode())
    assert not client.transport.disconnecting
    client.send(masked(struct.pack("!H", 4001), first=0x88))
    assert client.transport.disconnecting
    assert not client.transport.disconnected
    assert edge.ledger.ended == {CloseReason.CLOSED_BY_COMPONENT: 1}
    client.lose()
    assert [call[0] for call in component.calls] == ["on_open", "on_message", "on_close"]


def test_a_component_may_close_in_on_open():
    component = Scripted(on_open=lambda conn: conn.close(3000))
    client = ComponentEdge(component).connect()
    client.send(request(subprotocol=None) + masked(b"not seen"))
    assert frames(client.take().partition(b"\r\n\r\n")[2]) == [Frame(0x88, struct.pack("!H", 3000))]
    client.lose()
    assert [call[0] for call in component.calls] == ["on_open", "on_close"]


def test_an_error_closes_with_1011_and_an_incident_number_only():
    def on_message(_: ComponentConnection, data: str) -> None:
        raise RuntimeError(f"secret {data}")

    edge = ComponentEdge(Scripted(on_message=on_message))
    client, other = edge.open(), edge.open()
    client.text("payload")
    sent = client.take()
    (close,) = frames(sent)
    assert struct.unpack("!H", close.payload[:2]) == (1011,)
    kind, number = close.payload[2:].split()
    assert kind == b"incident"
    assert len(bytes.fromhex(number.decode())) == 4
    for word in (b"secret", b"payload", b"Runtime", b"Traceback", b".py"):
        assert word not in sent
    assert edge.ledger.ended == {CloseReason.COMPONENT_FAILED: 1}
    other.send(masked(b"", first=0x89))
    assert other.frames() == [Frame(0x8A, b"")]


def test_a_lost_connection_calls_on_close_once():
    component = Scripted()
    edge = ComponentEdge(component)
    edge.open().lose()
    assert component.calls == [("on_open", 1), ("on_close", 1)]
    assert edge.ledger.ended == {CloseReason.PEER_LOST: 1}


def test_what_is_sent_or_closed_in_on_close_is_nothing():
    def on_close(conn: ComponentConnection) -> None:
        conn.send("nobody")
        conn.send(b"hears")
        conn.close()
        raise RuntimeError

    edge = ComponentEdge(Scripted(on_close=on_close))
    client = edge.open()
    client.lose()
    assert client.take() == b""
    assert edge.ledger.ended == {CloseReason.PEER_LOST: 1}
    assert edge.edge.timer_wheel.waiting == 0
    closing = edge.open()
    closing.send(masked(b"", first=0x88))
    closing.lose()
    assert edge.ledger.ended == {CloseReason.PEER_LOST: 1, CloseReason.PEER_CLOSED: 1}
    assert edge.edge.timer_wheel.waiting == 0


def test_nothing_is_seen_behind_a_close_in_the_same_read():
    for first in (0x81, 0x82):
        component = Scripted(on_message=lambda conn, _: conn.close())
        client = ComponentEdge(component).open()
        client.send(masked(b"1", first=first) + masked(b"2", first=first) * 3)
        assert [call[0] for call in component.calls] == ["on_open", "on_message"]


def test_the_server_stops_without_a_close_frame():
    component = Scripted()
    edge = ComponentEdge(component)
    client = edge.open()
    done: list[None] = []
    edge.edge.stop(5.0).addCallback(done.append)
    assert client.take() == b""
    assert client.transport.disconnecting
    client.lose()
    assert done == [None]
    assert component.calls[-1] == ("on_close", 1)
    assert edge.clock.getDelayedCalls() == []


# Time and limits.


def test_pings_are_sent_and_silence_ends_a_connection():
    component = Scripted()
    edge = ComponentEdge(component)
    talking, silent = edge.open(), edge.open()
    for _ in range(5):
        edge.pass_time(15)
        talking.send(masked(b"", first=0x8A))
    assert Frame(0x89, b"") in silent.frames()
    assert silent.transport.disconnected
    assert not talking.transport.disconnecting
    assert edge.ledger.ended == {CloseReason.SILENT: 1}
    silent.lose()
    assert component.calls[-1] == ("on_close", 2)


def test_pings_of_clients_are_answered_while_a_method_is_not_done():
    held = Held()
    edge = ComponentEdge(Scripted(on_message=held))
    client = edge.open()
    client.text("slow")
    client.send(masked(b"still there?", first=0x89))
    assert client.frames() == [Frame(0x8A, b"still there?")]


def test_half_open_connections_end_without_the_component():
    component = Scripted()
    edge = ComponentEdge(component)
    client = edge.connect()
    client.send(request(subprotocol=None)[:-2])
    edge.pass_time(7)
    assert client.transport.disconnected
    assert edge.ledger.ended == {CloseReason.HANDSHAKE_TIMEOUT: 1}
    client.lose()
    assert component.calls == []


def test_a_slow_client_is_dropped_and_the_others_get_everything():
    clients: list[ComponentConnection] = []

    def relay(conn: ComponentConnection, data: str) -> None:
        for each in clients:
            if each is not conn:
                each.send(data)

    edge = ComponentEdge(Scripted(on_open=clients.append, on_message=relay), queue_bytes=10_000)
    sender, slow, other = edge.open(), edge.open(), edge.open()
    assert isinstance(slow.connection.outbox, TransportOutbox)
    slow.connection.outbox.pauseProducing()
    for _ in range(12):
        sender.text("x" * 1000)
    assert slow.transport.disconnected
    assert edge.ledger.ended == {CloseReason.SLOW_CLIENT: 1}
    assert len(other.texts()) == 12
    slow.lose()


@pytest.mark.parametrize("first", [0x81, 0x82])
def test_clients_that_send_too_much_are_dropped(first: int):
    component = Scripted()
    edge = ComponentEdge(component, per_second=10, burst=20)
    client = edge.open()
    for _ in range(20):
        client.send(masked(b"x", first=first))
    assert edge.ledger.ended == {}
    client.send(masked(b"x", first=first))
    assert client.transport.disconnected
    assert edge.ledger.ended == {CloseReason.FLOODING: 1}
    assert len(component.calls) == 21


def test_clients_that_send_faster_than_the_component_works_are_dropped():
    held = Held()
    edge = ComponentEdge(Scripted(on_message=held))
    client = edge.open()
    client.send(masked(b"x") * 101)
    assert edge.ledger.ended == {}
    client.text("x")
    assert client.transport.disconnected
    assert edge.ledger.ended == {CloseReason.FLOODING: 1}
    assert (
        "limits.pending_per_session = 100 messages are already waiting for shop:Chat"
        in edge.lines[-1]
    )


def test_nothing_keeps_a_lost_connection():
    edge = ComponentEdge(Scripted(on_message=echo))
    edge.open()
    gc.collect()
    gc.disable()
    try:
        for stream in (b"", masked(b"x"), masked(b"x", first=0x02), masked(b"", first=0x88)):
            client = edge.open()
            client.send(stream)
            client.lose()
            left = weakref.ref(client.connection)
            del client
            assert left() is None, stream
    finally:
        gc.enable()
    assert len(edge.edge.connections) == 1
    assert edge.edge.timer_wheel.waiting == 1
