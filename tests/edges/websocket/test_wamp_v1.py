"""WAMP v1 sessions on connections, from the handshake to the loss."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.edges.websocket.in_memory import Frame, MemoryNode, Peer, frames, masked, request
from wampush.broker.history.visitors import COOKIE
from wampush.broker.identity import ANONYMOUS, AWAITING, Identity
from wampush.broker.requests.connect_request import ConnectRequest
from wampush.broker.transfer.session_transfer import session_state
from wampush.config.tables.topics import TopicSettings
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.edges.websocket.wamp_v1 import WampRoute
from wampush.errors import CloseReason, MessageRefused, Refusal
from wampush.wamp.session import PrefixLimits
from wampush.wamp.uris import WAMP1


class RecordingHandler:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []

    def on_open(self, subscriber: object) -> None:
        self.seen.append(("on_open", subscriber))

    def on_text(self, subscriber: object, text: bytes) -> None:
        self.seen.append(("on_text", subscriber, text))

    def refuse(self, subscriber: object, error: MessageRefused, raw: bytes) -> None:
        self.seen.append(("refuse", subscriber, error.refusal, raw))

    def on_lost(self, subscriber: object) -> None:
        self.seen.append(("on_lost", subscriber))


class RecordingLine:
    """A connection that notes how it is ended."""

    peer = "127.0.0.1"
    address = "192.0.2.1"
    reason: CloseReason | None = None

    def __init__(self) -> None:
        self.ended: list[tuple[CloseReason, str]] = []
        self.identities: list[Identity] = []

    def end(self, reason: CloseReason, detail: str = "", code: int | None = None) -> None:
        assert code is None
        self.reason = reason
        self.ended.append((reason, detail))

    def accept_identity(self, identity: Identity) -> bool:
        self.identities.append(identity)
        return True


def route(handler: Any, require_subprotocol: bool = True) -> WampRoute:
    return WampRoute(
        handler=handler,
        dialect=WAMP1,
        server="wampush/test",
        prefixes=PrefixLimits(1, 100),
        require_subprotocol=require_subprotocol,
    )


def begun(handler: RecordingHandler, line: Any, headers: dict[str, str] | None = None) -> Any:
    request = ConnectRequest("/", headers or {}, line.address, "ws")
    outbox: Any = object()
    return route(handler).begin(line, outbox, request, Identity("7"), "wamp")


def test_messages_reach_the_handler_until_the_connection_is_lost() -> None:
    handler, line = RecordingHandler(), RecordingLine()
    conversation = begun(handler, line)
    subscriber = conversation.subscriber
    assert subscriber.identity == conversation.identity == Identity("7")
    assert subscriber.peer is conversation
    conversation.on_open()
    conversation.on_text(b'[5,"t"]')
    conversation.on_binary(b"\xff")
    conversation.on_lost()
    seen = [
        ("on_open", subscriber),
        ("on_text", subscriber, b'[5,"t"]'),
        ("refuse", subscriber, Refusal.BINARY_FRAME, b"\xff"),
        ("on_lost", subscriber),
    ]
    assert handler.seen == seen
    assert conversation.subscriber is None
    assert conversation.identity is ANONYMOUS
    conversation.on_open()
    conversation.on_text(b"[]")
    conversation.on_binary(b"")
    conversation.on_lost()
    assert handler.seen == seen, "nothing happens after the loss"
    assert not conversation.accept_identity(Identity("8"))
    assert line.identities == []


def test_the_broker_sees_the_connection() -> None:
    handler, line = RecordingHandler(), RecordingLine()
    conversation = begun(handler, line)
    assert conversation.address == "192.0.2.1"
    assert conversation.ended is None
    assert conversation.accept_identity(Identity("8"))
    assert line.identities == [Identity("8")]
    conversation.end(CloseReason.ENDED_BY_APPLICATION, "why")
    assert line.ended == [(CloseReason.ENDED_BY_APPLICATION, "why")]
    assert conversation.ended is CloseReason.ENDED_BY_APPLICATION


@pytest.mark.parametrize(
    ("headers", "is_local"),
    [({}, True), ({"x-forwarded-for": "192.0.2.1"}, False), ({"origin": "http://a.b"}, False)],
)
def test_only_this_machine_is_local(headers: dict[str, str], is_local: bool) -> None:
    assert begun(RecordingHandler(), RecordingLine(), headers).is_local is is_local


def test_wamp_is_chosen_where_it_is_offered_and_may_be_required() -> None:
    strict, lax = route(RecordingHandler()), route(RecordingHandler(), require_subprotocol=False)
    for each in (strict, lax):
        assert each.subprotocol(("soap", "wamp")) == "wamp"
    assert lax.subprotocol(("soap",)) is None
    with pytest.raises(HandshakeRefused) as refused:
        strict.subprotocol(("soap",))
    assert refused.value.reason is CloseReason.SUBPROTOCOL_REQUIRED


def test_a_session_on_a_connection() -> None:
    node = MemoryNode()
    peer = node.open()
    peer.send(masked(b'[5,"t"]') + masked(b"x", first=0x82) + masked(b'[7,"t",1,false]'))
    assert frames(peer.take()) == [Frame(0x81, b'[8,"t",1]')]
    assert node.ledger.refusals() == {Refusal.BINARY_FRAME.code: 1}


def test_a_session_has_so_many_prefixes() -> None:
    node = MemoryNode()
    peer = node.open()
    for number in range(101):
        peer.send(masked(b'[1,"p%d","http://example.com/"]' % number))
    assert node.ledger.refusals()[Refusal.TOO_MANY_PREFIXES.code] == 1
    peer.send(masked(b'[1,"p7","http://example.org/"]'))
    assert node.ledger.refusals()[Refusal.TOO_MANY_PREFIXES.code] == 1


def pongs_of(peer: Peer) -> list[bytes]:
    """The answers to the pings that a client has got."""
    return [masked(each.payload, first=0x8A) for each in frames(peer.take()) if each.first == 0x89]


def test_pings_tell_what_a_user_has_received() -> None:
    node = MemoryNode(topics=(TopicSettings("t", history=9, gap_replay=True),))

    def user(*topics: str) -> Peer:
        peer = node.open()
        peer.become(Identity("7"))
        for topic in topics:
            peer.subscribe(topic)
        return peer

    def pass_time(peer: Peer) -> None:
        # The client is heard all the time.
        for _ in range(4):
            peer.send(masked(b'[5,"u"]'))
            node.clock.pump([1.0] * 9)

    def events(peer: Peer) -> list[bytes]:
        return [each.payload for each in frames(peer.take()) if each.first == 0x81]

    page, other = user("t"), user("other")
    node.publish("t", b"1")
    pass_time(page)
    assert pongs_of(other) == [masked(b"", first=0x8A)]
    (pong,) = pongs_of(page)
    assert len(pong) == len(masked(b"1234"))
    # An answer to nothing that was asked proves nothing.
    page.send(masked(b"none", first=0x8A))
    assert events(user("t")) == [b'[8,"t",1]']
    page.send(pong)
    page.lose()
    node.publish("t", b"2")
    assert events(user("t"))[-1:] == [b'[8,"t",2]']


PAGE = "Origin: http://127.0.0.1"
GAPS = (TopicSettings("t", history=9, gap_replay=True),)


def cookie_of(peer: Peer, *more: str) -> str:
    """Open a connection; the value of Set-Cookie in the response, or ""."""
    peer.send(request(*more))
    head = peer.take().partition(b"\r\n\r\n")[0].decode()
    lines = [each for each in head.split("\r\n") if each.lower().startswith("set-cookie:")]
    assert len(lines) <= 1
    return lines[0].partition(": ")[2] if lines else ""


def test_a_browser_without_a_user_gets_a_cookie_and_then_what_it_has_missed() -> None:
    node = MemoryNode(topics=GAPS)
    page = node.connect()
    cookie = cookie_of(page, PAGE)
    assert cookie.startswith(f"{COOKIE}=")
    assert "Secure" not in cookie
    page.subscribe("t")
    node.publish("t", b"1")
    page.lose()
    value = cookie.partition(";")[0]
    again = node.connect()
    assert cookie_of(again, PAGE, f"Cookie: a=b; {value}") == ""
    again.subscribe("t")
    assert [each.payload for each in frames(again.take())] == [b'[8,"t",1]']
    # It is nobody, and has the permissions of anybody.
    assert again.subscriber.identity is ANONYMOUS
    assert node.broker.users.user_count == 0
    other = node.connect()
    made_up = "Cookie: wampush_gap=made.up"
    assert cookie_of(other, PAGE, "User-Agent: other", made_up) not in ("", cookie)
    other.subscribe("t")
    assert frames(other.take()) == []


def test_the_cookie_is_secure_over_tls() -> None:
    node = MemoryNode(topics=GAPS, trusted=("127.0.0.1",))
    forwarded = ("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")
    assert cookie_of(node.connect(), PAGE, *forwarded).endswith("; Secure")


@pytest.mark.parametrize(
    ("topics", "lines"), [(GAPS, []), ((), [PAGE]), ((TopicSettings("t", history=9),), [PAGE])]
)
def test_there_is_no_cookie_where_none_is_needed(
    topics: tuple[TopicSettings, ...], lines: list[str]
) -> None:
    assert cookie_of(MemoryNode(topics=topics).connect(), *lines) == ""


@pytest.mark.parametrize("identity", [Identity("7"), Identity(source=AWAITING)])
def test_users_get_no_cookie(identity: Identity) -> None:
    node = MemoryNode(topics=GAPS)
    line: Any = RecordingLine()
    asked = ConnectRequest("/", {"origin": "http://127.0.0.1"}, line.address, "ws")
    outbox: Any = object()
    begun = route(node.node.requests).begin(line, outbox, asked, identity, "wamp")
    assert (begun.cookie, begun.visitor) == ("", None)


def test_a_session_goes_on_in_another_process() -> None:
    first, second = MemoryNode(), MemoryNode()
    peer, other = first.open(), second.connect()
    peer.subscribe("t")
    conversation: Any = peer.connection.conversation
    assert conversation.can_move
    state = session_state(conversation.snapshot())
    assert state.topics == ["t"]
    route: Any = second.edge.shared.rules.routes.resuming
    outbox = other.connection.outbox
    resumed = route.resume(other.connection, outbox, state, is_local=True)
    assert resumed.subscriber.session_id == peer.subscriber.session_id
    assert second.broker.subscriptions.topics(resumed.subscriber) == {"t"}
    with_challenge = replace(
        state, attempt={"expected": "x", "until": 9.0, "is_known": False, "identity": None}
    )
    again = route.resume(other.connection, outbox, with_challenge, is_local=False)
    assert again.subscriber.attempt is not None
    peer.lose()
    assert not conversation.can_move
    with pytest.raises(ValueError, match="has ended"):
        conversation.snapshot()
