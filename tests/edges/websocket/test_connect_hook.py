"""The connect hook decides before the handshake is answered, on real connections in memory."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, fail, succeed

from tests.apps.sample_components import Scripted
from tests.edges.websocket.component_in_memory import ComponentEdge
from tests.edges.websocket.in_memory import MemoryNode, Peer, change_rules, frames, masked, request
from wampush.broker.identity import Identity
from wampush.broker.requests.connect_request import ConnectAttempt
from wampush.config.tables.websocket import WebSocketSettings
from wampush.errors import AuthenticationRefused, CloseReason


class Hook:
    """Decides as a test says; by itself, later."""

    def __init__(self, answer: Any = None) -> None:
        self.arrivals: list[ConnectAttempt] = []
        self.answers: list[Deferred[None]] = []
        self.cancelled = 0
        self._answer = answer

    def connecting(self, arrival: ConnectAttempt) -> Deferred[None]:
        self.arrivals.append(arrival)
        if self._answer is not None:
            answered: Deferred[None] = self._answer(arrival)
            return answered
        deferred: Deferred[None] = Deferred(self._cancel)
        self.answers.append(deferred)
        return deferred

    def _cancel(self, _: object) -> None:
        self.cancelled += 1


def refuse(_: ConnectAttempt) -> Deferred[None]:
    return fail(AuthenticationRefused(CloseReason.CONNECT_REFUSED, "Not on the list."))


def guarded(hook: Hook) -> MemoryNode:
    node = MemoryNode(WebSocketSettings(handshake_timeout=5.0))
    change_rules(node.edge, connect_hook=hook)
    return node


def ask(node: MemoryNode, more: bytes = b"") -> Peer:
    """A client that has sent its request."""
    peer = node.connect()
    peer.send(request("Cookie: a=1", target="/ws?x=1") + more)
    return peer


def test_a_session_begins_when_the_hook_agrees() -> None:
    hook = Hook()
    node = guarded(hook)
    peer = ask(node, masked(b'[5,"t"]'))
    assert peer.take() == b""
    assert node.broker.sessions == {}
    (arrival,) = hook.arrivals
    assert arrival.identity.source == "anonymous"
    assert arrival.address == "127.0.0.1"
    assert arrival.request.path == "/ws"
    assert arrival.request.cookies == {"a": "1"}
    assert arrival.subscriber is not None
    assert arrival.subscriber.peer is not None
    assert arrival.subscriber.peer.address == "127.0.0.1"
    assert arrival.subscriber.is_local
    hook.answers.pop().callback(None)
    head, _, rest = peer.take().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    (welcome,) = frames(rest)
    assert arrival.subscriber.session_id.encode() in welcome.payload
    assert node.broker.sessions == {arrival.subscriber.session_id: arrival.subscriber}
    # What it sent behind its request was kept.
    assert node.broker.subscriptions.topics(arrival.subscriber) == {"t"}


@pytest.mark.parametrize(
    ("trusted", "scheme"), [(("127.0.0.1",), "wss"), (("10.0.0.0/8",), "ws"), ((), "ws")]
)
def test_a_trusted_proxy_reports_how_the_client_connected(
    trusted: tuple[str, ...], scheme: str
) -> None:
    hook = Hook()
    node = MemoryNode(trusted=trusted)
    change_rules(node.edge, connect_hook=hook)
    node.connect().send(request("X-Forwarded-Proto: https"))
    (arrival,) = hook.arrivals
    assert arrival.request.scheme == scheme


def test_a_hook_may_agree_at_once() -> None:
    node = guarded(Hook(lambda _: succeed(None)))
    node.connect().open()
    assert len(node.broker.sessions) == 1


def test_a_refused_client_gets_403_and_no_session() -> None:
    node = guarded(Hook(refuse))
    peer = ask(node)
    answer = peer.take()
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"The application refused the connection. Not on the list." in answer
    assert peer.transport.disconnecting
    assert node.ledger.ended == {CloseReason.CONNECT_REFUSED: 1}
    peer.lose()
    assert node.broker.sessions == {}
    assert node.edge.timer_wheel.waiting == 0
    assert node.ledger.ended == {CloseReason.CONNECT_REFUSED: 1}


def test_the_hook_is_not_asked_about_clients_that_are_refused_before() -> None:
    hook = Hook()
    node = guarded(hook)
    for more in ("Origin: http://stranger.example",):
        peer = node.connect()
        peer.send(request(more))
        assert peer.take().startswith(b"HTTP/1.1 403 ")
    node.connect().send(request(subprotocol=None))
    assert hook.arrivals == []


def test_the_hook_is_cancelled_when_the_client_goes_away() -> None:
    hook = Hook()
    node = guarded(hook)
    peer = ask(node)
    peer.lose()
    assert hook.cancelled == 1
    assert node.broker.sessions == {}
    assert node.edge.connections == set()


def test_the_hook_is_cancelled_when_the_handshake_takes_too_long() -> None:
    hook = Hook()
    node = guarded(hook)
    peer = ask(node)
    for _ in range(14):
        node.clock.advance(0.5)
    assert peer.transport.disconnected
    assert node.ledger.ended == {CloseReason.HANDSHAKE_TIMEOUT: 1}
    peer.lose()
    assert hook.cancelled == 1


def test_the_hook_is_cancelled_when_the_client_sends_too_much() -> None:
    hook = Hook()
    node = guarded(hook)
    peer = ask(node)
    peer.send(masked(b"x" * 9000))
    assert peer.take().startswith(b"HTTP/1.1 431 ")
    assert hook.cancelled == 1


@pytest.mark.parametrize("late", ["lets in", "refuses"])
def test_an_answer_that_comes_too_late_does_nothing(late: str) -> None:
    hook = Hook(lambda _: Deferred(lambda _: None))
    node = guarded(hook)
    given: list[Deferred[None]] = []

    def stubborn(_: ConnectAttempt) -> Deferred[None]:
        # Who swallows the cancelling has its say later.
        inner: Deferred[None] = Deferred()
        outer: Deferred[None] = Deferred(lambda _: None)
        outer.addErrback(lambda failure: failure.trap(CancelledError) and inner)
        given.append(inner)
        return outer

    hook._answer = stubborn
    peer = ask(node)
    peer.lose()
    if late == "lets in":
        given[0].callback(None)
    else:
        given[0].errback(AuthenticationRefused(CloseReason.CONNECT_REFUSED))
    assert peer.take() == b""
    assert node.broker.sessions == {}


def test_a_defect_drops_the_connection() -> None:
    def broken(_: ConnectAttempt) -> Deferred[None]:
        raise ValueError("defect")

    node = guarded(Hook(broken))
    peer = ask(node)
    assert peer.transport.disconnected
    assert node.ledger.ended == {CloseReason.INTERNAL_ERROR: 1}
    peer.lose()
    assert node.broker.sessions == {}


def test_the_identity_may_change_while_the_hook_decides() -> None:
    hook = Hook()
    node = guarded(hook)
    peer = ask(node)
    subscriber = hook.arrivals[0].subscriber
    assert subscriber is not None
    node.node.requests.become(subscriber, Identity("7"))
    assert node.edge.shared.admission._users == {"7": 1}
    hook.answers.pop().callback(None)
    assert peer.subscriber.identity.user == "7"
    peer.lose()
    assert node.edge.shared.admission._users == {}


def test_the_end_of_the_server_does_not_wait_for_the_hook() -> None:
    hook = Hook()
    node = guarded(hook)
    peer = ask(node)
    done: list[None] = []
    node.edge.stop(5.0).addCallback(done.append)
    assert peer.transport.disconnecting
    peer.lose()
    assert hook.cancelled == 1
    assert done == [None]


def test_the_hook_decides_about_clients_of_components_too() -> None:
    component = Scripted()
    hook = Hook()
    edge = ComponentEdge(component, identity=Identity("7", source="token"), connect_hook=hook)
    client = edge.connect()
    assert client.shake(target="/chat") == b""
    (arrival,) = hook.arrivals
    assert arrival.identity.user == "7"
    assert arrival.request.path == "/chat"
    assert arrival.subscriber is None
    assert component.calls == []
    hook.answers.pop().callback(None)
    assert client.take().startswith(b"HTTP/1.1 101 ")
    assert component.calls == [("on_open", 1)]
    refused = edge.connect()
    refused.shake()
    hook.answers.pop().errback(AuthenticationRefused(CloseReason.CONNECT_REFUSED))
    assert refused.take().startswith(b"HTTP/1.1 403 ")
    refused.lose()
    assert component.calls == [("on_open", 1)]
