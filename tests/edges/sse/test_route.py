"""Whether an event stream begins: permissions, origins, identities."""

from __future__ import annotations

import json
from typing import Any

import pytest
from twisted.internet.defer import succeed

from tests.edges.sse.event_source import get
from tests.edges.websocket.in_memory import MemoryNode, change_rules
from wampush.broker.access.permissions import Permissions, default_decisions
from wampush.broker.access.policy import Policy, Publishing
from wampush.broker.identity import AWAITING, Identity
from wampush.choices import ANYONE, Action, DefaultPermission
from wampush.config.tables.permissions import PermissionSettings
from wampush.edges.sse.route import PATH, EventStreamRoute
from wampush.errors import CloseReason


def answer(node: MemoryNode, request: bytes) -> tuple[str, str, str, CloseReason | None]:
    """Status line, header and body of the response, and why the connection ended."""
    peer = node.connect()
    peer.send(request)
    head, _, body = peer.take().decode().partition("\r\n\r\n")
    status, _, header = head.partition("\r\n")
    return status, header, body, peer.connection.reason


def test_a_topic_that_the_client_may_not_subscribe_to_refuses_the_stream() -> None:
    node = MemoryNode()
    rule = PermissionSettings(match="open.*", actions=(Action.SUBSCRIBE,), to=(ANYONE,))
    permissions = Permissions(
        (rule,), default_decisions(subscribe=DefaultPermission.DENY), node.clock.seconds
    )
    node.broker.policy = Policy(Publishing.NOBODY, permissions)
    status, _, body, reason = answer(node, get("/events?topic=open.a&topic=b&topic=c"))
    assert (status, reason) == ("HTTP/1.1 403 Forbidden", CloseReason.STREAM_REFUSED)
    assert json.loads(body)["detail"] == "'b': subscribe-forbidden, 'c': subscribe-forbidden."
    assert node.broker.sessions == {}
    assert answer(node, get("/events?topic=open.a"))[0] == "HTTP/1.1 200 OK"


def test_a_request_without_topics_is_refused() -> None:
    status, _, body, reason = answer(MemoryNode(), get("/events"))
    assert (status, reason) == ("HTTP/1.1 400 Bad Request", CloseReason.BAD_STREAM_REQUEST)
    assert "/events?topic=NAME" in body


@pytest.mark.parametrize(
    ("lines", "status", "shared"),
    [
        ((), "HTTP/1.1 200 OK", False),
        (("Origin: http://localhost:8000",), "HTTP/1.1 200 OK", True),
        (("Origin: http://evil.example",), "HTTP/1.1 403 Forbidden", False),
        (("Sec-Fetch-Site: cross-site",), "HTTP/1.1 403 Forbidden", False),
        # As nginx passes it on with the configuration for WebSocket.
        (("Connection: upgrade", "X-Forwarded-For: 192.0.2.1"), "HTTP/1.1 200 OK", False),
    ],
)
def test_pages_of_permitted_origins_may_read_the_stream(
    lines: tuple[str, ...], status: str, shared: bool
) -> None:
    found, header, _, _ = answer(MemoryNode(), get("/events?topic=a", *lines))
    assert found == status
    allowed = (
        "Vary: Origin\r\nAccess-Control-Allow-Origin: http://localhost:8000\r\n"
        "Access-Control-Allow-Credentials: true"
    )
    assert (allowed in header) == shared


def test_the_header_keeps_caches_and_proxies_away() -> None:
    status, header, body, reason = answer(
        MemoryNode(), get("/events?topic=a").replace(b"GET", b"HEAD")
    )
    assert (status, body, reason) == ("HTTP/1.1 200 OK", "", CloseReason.PLAIN_REQUEST)
    assert header.split("\r\n") == [
        "Content-Type: text/event-stream",
        "Cache-Control: no-store",
        "X-Accel-Buffering: no",
        "X-Content-Type-Options: nosniff",
        "Vary: Origin",
        "Connection: close",
    ]


def test_limits_on_connections_apply() -> None:
    node = MemoryNode(most=1)
    node.open()
    status, _, _, reason = answer(node, get("/events?topic=a"))
    assert status.startswith("HTTP/1.1 503 ")
    assert reason is CloseReason.TOO_MANY_CONNECTIONS


class FakeAuthenticator:
    """Gives every client the same identity."""

    all_anonymous = False

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def authenticate(self, _: object) -> Any:
        return succeed(self._identity)


def test_the_client_of_a_stream_has_its_identity_until_it_expires() -> None:
    node = MemoryNode()
    change_rules(node.edge, authenticator=FakeAuthenticator(Identity("ann", source="token")))
    peer = node.connect()
    peer.send(get("/events?topic=a"))
    assert node.broker.users.of_user("ann") == {peer.subscriber}


def test_a_client_that_has_to_authenticate_with_a_call_is_refused() -> None:
    node = MemoryNode()
    change_rules(node.edge, authenticator=FakeAuthenticator(Identity(source=AWAITING)))
    status, _, body, reason = answer(node, get("/events?topic=a"))
    assert status.startswith("HTTP/1.1 401 ")
    assert reason is CloseReason.AUTHENTICATION_REQUIRED
    assert "WAMP-CRA" in body


def test_other_paths_get_the_page_about_the_port() -> None:
    assert "text/html" in answer(MemoryNode(), get("/events/"))[1]
    assert PATH == "/events"
    assert EventStreamRoute.origins is None
