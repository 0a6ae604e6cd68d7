"""The opening of one connection, without the connection: which callback is called, and when."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from tests.edges.websocket.in_memory import KEY, MemoryTransport, masked, request
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.memory import UNLIMITED, Memory, MemoryLimits
from wampush.broker.requests.connect_request import ConnectAttempt, ConnectRequest
from wampush.config.tables.websocket import WebSocketSettings
from wampush.edges.client_files import ClientFile
from wampush.edges.websocket import http_upgrade
from wampush.edges.websocket.admission import Admission
from wampush.edges.websocket.compression import Agreement
from wampush.edges.websocket.conversation import Routes
from wampush.edges.websocket.http_upgrade import HandshakeRefused
from wampush.edges.websocket.message_budgets import ClientLimits, MessageBudgets
from wampush.edges.websocket.opening_handshake import OpeningHandshake, OpeningRules, peer_of
from wampush.errors import AuthenticationRefused, CloseReason
from wampush.net.accepting.slim_sockets import SlimServer
from wampush.net.origins import Origins
from wampush.net.trusted_proxies import Proxies

ANN = Identity("ann", source="token")

CLIENT_LIMITS = ClientLimits(queue_bytes=1, messages_per_second=100.0, message_burst=2000)


class RecordingRoute:
    """Notes which conversations it began."""

    origins = None

    def __init__(self) -> None:
        self.begun: list[tuple[ConnectRequest, Identity, str | None]] = []
        self.refusal: HandshakeRefused | None = None

    def subprotocol(self, offered: Sequence[str]) -> str | None:
        return http_upgrade.subprotocol(offered, required=True)

    def begin(
        self,
        line: object,
        outbox: object,
        request: ConnectRequest,
        identity: Identity,
        subprotocol: str | None,
    ) -> Any:
        assert isinstance(line, FakeLine)
        assert outbox == "outbox"
        if self.refusal is not None:
            raise self.refusal
        self.begun.append((request, identity, subprotocol))
        return Conversation(identity)


class PlainRoute(RecordingRoute):
    """Notes which responses it began."""

    def head(self, request: ConnectRequest, shared_with: str) -> bytes:
        return f"head of {request.target}, {shared_with!r}".encode()


class Conversation:
    """One that is not begun."""

    cookie = ""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.subscriber = f"subscriber of {identity.user}"


class FakeAuthenticator:
    """Answers as a test says."""

    def __init__(self, *answers: Deferred[Identity]) -> None:
        self.all_anonymous = not answers
        self.asked: list[ConnectRequest] = []
        self._answers = list(answers)

    def authenticate(self, request: ConnectRequest) -> Deferred[Identity]:
        self.asked.append(request)
        return self._answers.pop(0)


class FakeHook:
    """Answers as a test says."""

    def __init__(self, answer: Deferred[None]) -> None:
        self.asked: list[ConnectAttempt] = []
        self._answer = answer

    def connecting(self, arrival: ConnectAttempt) -> Deferred[None]:
        self.asked.append(arrival)
        return self._answer


class FakeLine:
    """A connection, as far as an owner of memory is one."""

    address_name = "192.0.2.1"

    def __init__(self) -> None:
        self.opened: list[tuple[Any, bytes, Agreement | None, bytes]] = []
        self.answered: list[tuple[bytes, CloseReason, str]] = []
        self.defects: list[Failure] = []

    def on_accepted(self, *arguments: Any) -> None:
        self.opened.append(arguments)

    def on_answered(self, *arguments: Any) -> None:
        self.answered.append(arguments)

    def on_defect(self, failure: Failure) -> None:
        self.defects.append(failure)


SCRIPT = "/static/wampush.js"
FILE = ClientFile(b"var ab;", "text/javascript", '"tag"')


class Door:
    """An opening handshake, and what it called."""

    def __init__(
        self,
        *answers: Deferred[Identity],
        hook: FakeHook | None = None,
        settings: WebSocketSettings | None = None,
        most_per_user: int = 0,
        proxies: Proxies | None = None,
        transport: Any = None,
        limits: MemoryLimits = UNLIMITED,
    ) -> None:
        self.route = RecordingRoute()
        self.plain = PlainRoute()
        self.authenticator = FakeAuthenticator(*answers)
        self.admission = Admission(
            max_connections=10,
            max_per_address=0,
            max_per_user=most_per_user,
            origins=Origins(("same-host",), null=False),
            proxies=proxies or Proxies(()),
            budgets=MessageBudgets(CLIENT_LIMITS, 2000.0),
        )
        self.transport: Any = MemoryTransport() if transport is None else transport
        self.ticket = self.admission.arrive(peer_of(self.transport))
        self.line = FakeLine()
        self.opened, self.answered = self.line.opened, self.line.answered
        self.defects = self.line.defects
        self.memory = Memory(limits)
        parts: Any = {"line": self.line, "outbox": "outbox"}
        authenticator: Any = self.authenticator
        self.opening = OpeningHandshake(
            rules=OpeningRules(
                settings=settings or WebSocketSettings(),
                routes=Routes(self.route, plain={"/events": self.plain}, files={SCRIPT: FILE}),
                authenticator=authenticator,
                connect_hook=hook,
                memory=self.memory,
                server="wampush/test",
            ),
            ticket=self.ticket,
            transport=self.transport,
            **parts,
        )

    @property
    def is_waiting(self) -> bool:
        return not self.opened and not self.answered and not self.defects

    def refused(self, *, is_plain: bool = False) -> CloseReason:
        """The reason of the only answer.

        :param is_plain: whether it is the answer to an ordinary request.
        """
        assert self.opened == []
        assert self.defects == []
        ((response, reason, detail),) = self.answered
        refused = HandshakeRefused(reason, detail)
        assert response == http_upgrade.refusal(refused, is_plain=is_plain)
        return reason


def test_a_client_that_nobody_has_to_ask_about_opens_at_once() -> None:
    door = Door()
    door.opening.receive(request(target="/ws?a=1") + b"early")
    ((conversation, response, agreement, rest),) = door.opened
    assert conversation.identity is ANONYMOUS
    assert response == http_upgrade.accept(KEY, "wamp")
    assert agreement is None
    assert rest == b"early"
    ((asked, identity, subprotocol),) = door.route.begun
    assert (asked.target, asked.address, asked.scheme) == ("/ws?a=1", "127.0.0.1", "ws")
    assert (identity, subprotocol) == (ANONYMOUS, "wamp")
    assert door.authenticator.asked == []


def test_one_request_goes_to_the_authenticator_the_route_and_the_hook() -> None:
    hook = FakeHook(succeed(None))
    door = Door(succeed(ANN), hook=hook)
    door.opening.receive(request())
    assert len(door.opened) == 1
    (attempt,) = hook.asked
    (asked,) = door.authenticator.asked
    assert asked is door.route.begun[0][0] is attempt.request
    assert attempt.identity == ANN
    subscriber: Any = attempt.subscriber
    assert subscriber == "subscriber of ann"


def test_a_request_may_come_byte_by_byte() -> None:
    door = Door()
    data = request()
    for index in range(len(data)):
        assert door.is_waiting
        door.opening.receive(data[index : index + 1])
    assert len(door.opened) == 1


def test_a_tls_socket_and_a_trusted_proxy_decide_the_scheme() -> None:
    transport = MemoryTransport()
    directlyProvides(transport, ISSLTransport)
    plain = MemoryTransport()
    trusted = Proxies.of(["127.0.0.1"])
    for door, headers, scheme in (
        (Door(transport=transport), (), "wss"),
        (Door(transport=plain, proxies=trusted), ("X-Forwarded-Proto: https",), "wss"),
        (Door(transport=plain), ("X-Forwarded-Proto: https",), "ws"),
    ):
        door.opening.receive(request(*headers))
        assert door.route.begun[0][0].scheme == scheme


def test_the_peer_is_read_when_the_request_has_come() -> None:
    """With the PROXY protocol, the transport does not know it when the socket is accepted."""
    transport: Any = MemoryTransport()
    door = Door(transport=transport)
    transport.peerAddr = type(transport.peerAddr)("TCP", "192.0.2.7", 1)
    door.opening.receive(request())
    assert door.route.begun[0][0].address == "192.0.2.7"
    assert door.ticket.peer == door.ticket.address == "192.0.2.7"


def test_compression_is_agreed_where_the_settings_and_the_client_want_it() -> None:
    settings = WebSocketSettings(compression=True)
    offer = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10"
    door = Door(settings=settings)
    door.opening.receive(request(offer))
    ((_, response, agreement, _),) = door.opened
    assert agreement == Agreement(10)
    assert f"Sec-WebSocket-Extensions: {Agreement(10).header}".encode() in response
    for settings_, offers in ((settings, []), (WebSocketSettings(compression=False), [offer])):
        door = Door(settings=settings_)
        door.opening.receive(request(*offers))
        assert door.opened[0][2] is None


def test_a_browser_gets_a_page() -> None:
    door = Door()
    door.opening.receive(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert door.answered == [(http_upgrade.page("wampush/test"), CloseReason.PLAIN_REQUEST, "")]
    door.opening.receive(request())
    assert door.opened == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"nonsense\r\n\r\n", CloseReason.BAD_HANDSHAKE),
        (b"x" * 9000, CloseReason.HEADER_TOO_LARGE),
        (request(subprotocol="soap"), CloseReason.SUBPROTOCOL_REQUIRED),
        (request("Origin: http://stranger.example"), CloseReason.ORIGIN_FORBIDDEN),
    ],
)
def test_bad_requests_are_refused_before_anybody_is_asked(data: bytes, reason: CloseReason) -> None:
    hook = FakeHook(succeed(None))
    door = Door(succeed(ANN), hook=hook)
    door.opening.receive(data)
    assert door.refused() is reason
    door.opening.receive(request())
    assert len(door.answered) == 1
    assert door.authenticator.asked == []
    assert hook.asked == []


def test_the_authenticator_refuses() -> None:
    door = Door(fail(AuthenticationRefused(CloseReason.TOKEN_REFUSED, "It has expired.")))
    door.opening.receive(request())
    assert door.refused() is CloseReason.TOKEN_REFUSED
    assert door.answered[0][2] == "It has expired."


def test_the_route_refuses() -> None:
    door = Door(succeed(ANN))
    door.route.refusal = HandshakeRefused(CloseReason.AUTHENTICATION_REQUIRED)
    door.opening.receive(request())
    assert door.refused() is CloseReason.AUTHENTICATION_REQUIRED


def test_a_user_with_too_many_connections_is_refused() -> None:
    door = Door(succeed(ANN), most_per_user=1)
    other = door.admission.arrive("unix socket")
    other.belong_to("ann")
    door.opening.receive(request())
    assert door.refused() is CloseReason.TOO_MANY_OF_USER


def test_the_hook_refuses() -> None:
    answer: Deferred[None] = Deferred()
    door = Door(hook=FakeHook(answer))
    door.opening.receive(request())
    assert door.is_waiting
    answer.errback(AuthenticationRefused(CloseReason.CONNECT_REFUSED))
    assert door.refused() is CloseReason.CONNECT_REFUSED


def test_frames_that_come_early_are_kept_up_to_a_limit() -> None:
    answer: Deferred[None] = Deferred()
    door = Door(hook=FakeHook(answer))
    door.opening.receive(request() + masked(b"one"))
    door.opening.receive(masked(b"two"))
    answer.callback(None)
    assert door.opened[0][3] == masked(b"one") + masked(b"two")

    cancelled: list[object] = []
    endless: Deferred[None] = Deferred(cancelled.append)
    door = Door(hook=FakeHook(endless))
    door.opening.receive(request())
    door.opening.receive(b"x" * (WebSocketSettings().max_header_bytes + 1))
    assert door.refused() is CloseReason.HEADER_TOO_LARGE
    assert cancelled == [endless]


@pytest.mark.parametrize("waiting_for", ["identity", "hook"])
def test_nothing_is_called_after_it_is_cancelled(waiting_for: str) -> None:
    """Whether the answer is cancelled in time, or comes although it was cancelled."""

    def stubborn() -> tuple[Deferred[Any], Deferred[Any]]:
        late: Deferred[Any] = Deferred()
        answer: Deferred[Any] = Deferred(lambda _: None)
        answer.addErrback(lambda failure: failure.trap(CancelledError) and late)
        return answer, late

    for prompt in (True, False):
        answer, late = (Deferred(), Deferred()) if prompt else stubborn()
        door = Door(answer) if waiting_for == "identity" else Door(hook=FakeHook(answer))
        door.opening.receive(request())
        door.opening.cancel()
        door.opening.cancel()
        late.callback(ANN)
        door.opening.receive(request())
        assert door.is_waiting


@pytest.mark.parametrize("waiting_for", ["identity", "hook", "route"])
def test_unexpected_errors_are_defects(waiting_for: str) -> None:
    error = ValueError("defect")
    if waiting_for == "identity":
        door = Door(fail(error))
    elif waiting_for == "hook":
        door = Door(hook=FakeHook(fail(error)))
    else:
        door = Door(succeed(ANN))
        broken: Any = error
        door.route.refusal = broken
    door.opening.receive(request())
    (defect,) = door.defects
    assert defect.value is error
    assert not door.opened
    assert not door.answered


HOST = b"Host: localhost:8080\r\n"
OTHER_PORT = b"Origin: http://localhost:8000\r\n"
READABLE = (
    "Vary: Origin\r\nAccess-Control-Allow-Origin: http://localhost:8000\r\n"
    "Access-Control-Allow-Credentials: true\r\n"
)


def test_an_ordinary_request_with_a_route_takes_the_way_of_a_handshake() -> None:
    hook = FakeHook(succeed(None))
    door = Door(succeed(ANN), hook=hook)
    door.opening.receive(b"GET /events?a=1 HTTP/1.1\r\n" + HOST + b"\r\nmore")
    ((conversation, response, agreement, rest),) = door.opened
    assert conversation.identity == ANN
    assert response == b"head of /events?a=1, 'Vary: Origin\\r\\n'"
    assert (agreement, rest) == (None, b"")
    ((asked, identity, subprotocol),) = door.plain.begun
    assert (asked.target, asked.address, identity, subprotocol) == (
        "/events?a=1",
        "127.0.0.1",
        ANN,
        None,
    )
    assert [each.request for each in hook.asked] == door.authenticator.asked == [asked]


def test_pages_of_permitted_origins_may_read_responses_and_refusals() -> None:
    door = Door()
    door.opening.receive(b"GET /events HTTP/1.1\r\n" + HOST + OTHER_PORT + b"\r\n")
    assert door.opened[0][1] == f"head of /events, {READABLE!r}".encode()
    door = Door(fail(AuthenticationRefused(CloseReason.TOKEN_REFUSED, "Why.")))
    door.opening.receive(b"GET /events HTTP/1.1\r\n" + HOST + OTHER_PORT + b"\r\n")
    ((response, reason, detail),) = door.answered
    assert (reason, detail) == (CloseReason.TOKEN_REFUSED, "Why.")
    refused = HandshakeRefused(reason, detail)
    assert response == http_upgrade.refusal(refused, READABLE, is_plain=True)
    assert READABLE.encode() in response


@pytest.mark.parametrize(
    "lines",
    [
        b"Host: localhost\r\nOrigin: http://evil.example\r\n",
        b"Host: localhost\r\nSec-Fetch-Site: cross-site\r\n",
        b"Host: localhost\r\nSec-Fetch-Site: same-site\r\n",
        # A name that its owner lets resolve to 127.0.0.1; the page is of the same origin.
        b"Host: evil.example:8080\r\nSec-Fetch-Site: same-origin\r\n",
        b"Host: evil.example:8080\r\n",
        b"Host: evil.example\r\nOrigin: http://evil.example\r\n",
    ],
)
def test_ordinary_requests_of_other_pages_are_refused_and_unreadable(lines: bytes) -> None:
    door = Door()
    door.opening.receive(b"GET /events HTTP/1.1\r\n" + lines + b"\r\n")
    assert door.refused(is_plain=True) is CloseReason.ORIGIN_FORBIDDEN
    assert b"Access-Control" not in door.answered[0][0]


def test_head_and_options_have_no_conversation() -> None:
    door = Door()
    door.opening.receive(b"HEAD /events HTTP/1.1\r\n" + HOST + b"\r\n")
    head = b"head of /events, 'Vary: Origin\\r\\n'"
    assert door.answered == [(head, CloseReason.PLAIN_REQUEST, "")]
    door = Door()
    door.opening.receive(b"OPTIONS /events HTTP/1.1\r\n" + HOST + OTHER_PORT + b"\r\n")
    ((response, reason, _),) = door.answered
    assert reason is CloseReason.PLAIN_REQUEST
    assert response == http_upgrade.preflight(READABLE)
    assert b"Allow-Headers: Authorization, Cache-Control, Last-Event-ID\r\n" in response
    assert door.plain.begun == []


def test_a_route_refuses_an_ordinary_request() -> None:
    door = Door()
    door.plain.refusal = HandshakeRefused(CloseReason.AUTHENTICATION_REQUIRED)
    door.opening.receive(b"GET /events HTTP/1.0\r\n" + HOST + b"\r\n")
    ((response, reason, _),) = door.answered
    assert reason is CloseReason.AUTHENTICATION_REQUIRED
    assert response.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_client_for_pages_is_for_anyone(method: str) -> None:
    door = Door(fail(AuthenticationRefused(CloseReason.AUTHENTICATION_REQUIRED)))
    head = f"{method} {SCRIPT}?1 HTTP/1.1\r\nHost: a\r\nOrigin: http://elsewhere\r\n"
    door.opening.receive(f"{head}\r\n".encode())
    assert door.answered == [(FILE.response(method, ""), CloseReason.PLAIN_REQUEST, "")]
    assert door.authenticator.asked == []
    door = Door()
    door.opening.receive(f'{head}If-None-Match: "tag"\r\n\r\n'.encode())
    ((response, _, _),) = door.answered
    assert response.startswith(b"HTTP/1.1 304 ")


def test_the_peer_of_a_slim_connection_and_of_any_other() -> None:
    slim = SlimServer.__new__(SlimServer)
    slim.host = "192.0.2.7"
    assert peer_of(slim) == "192.0.2.7"
    wrapped = SimpleNamespace(getPeer=lambda: IPv4Address("TCP", "192.0.2.8", 40000))
    assert peer_of(wrapped) == "192.0.2.8"
    assert peer_of(SimpleNamespace(getPeer=lambda: UNIXAddress(None))) == "unix socket"
