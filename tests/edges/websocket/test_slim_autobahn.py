"""The attributes that Autobahn sets on each connection, against those of our class."""

from __future__ import annotations

from typing import Any

import pytest
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.protocol import TrafficStats
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from tests.edges.websocket.in_memory import MemoryNode
from wampush.edges.websocket.connection import Connection
from wampush.edges.websocket.slim_autobahn import SlimServerProtocol

#: Set by the framework and the factory, not by Autobahn's initialisers.
FRAMEWORK = {"factory", "transport", "connected"}

#: Attributes that only Autobahn's own handshake, its own sends or its events read. Those methods
#: are replaced: dataReceived, connectionMade, connectionLost, sendData, onMessageFrame and
#: onMessageEnd.
NOT_NEEDED = {
    "peer": "read by Autobahn's connectionMade and log lines of its handshake",
    "send_queue": "sendData is ours",
    "_valid_events": "nothing is fired: onMessageEnd is ours",
    "_results": "nothing is fired: onMessageEnd is ours",
    "versions": "the handshake is ours",
    "webStatus": "the handshake is ours",
    "perMessageCompressionAccept": "the handshake is ours",
    "serveFlashSocketPolicy": "the handshake is ours",
    "flashSocketPolicy": "the handshake is ours",
    "allowedOrigins": "the handshake is ours",
    "allowedOriginsPatterns": "the handshake is ours",
    "allowNullOrigin": "the handshake is ours",
    "maxConnections": "the handshake is ours",
    "trustXForwardedFor": "the handshake is ours",
    "tcpNoDelay": "listeners set it on the listening socket",
}

#: Values that differ on purpose.
DIFFERENT = {
    "maxMessagePayloadSize": "websocket.max_message_bytes, by a property",
    "openHandshakeTimeout": "the wheel keeps time",
    "closeHandshakeTimeout": "the wheel keeps time",
    "autoPingRestartOnAnyTraffic": "the wheel keeps time",
    "is_closed": "nobody waits for it",
    "is_open": "nobody waits for it",
    "_transport_details": "nobody reads it",
}

#: Objects without equality: the type is compared.
BY_TYPE = {"trafficStats": TrafficStats, "utf8validator": Utf8Validator}


def set_by_autobahn() -> dict[str, Any]:
    """The attributes of an instance after its initialisers have run."""
    factory = WebSocketServerFactory(reactor=Clock())
    factory.protocol = WebSocketServerProtocol
    protocol = factory.buildProtocol(None)
    protocol.makeConnection(StringTransport())
    if protocol.openHandshakeTimeoutCall is not None:
        # Autobahn's default sets a timer; without one the attribute is None.
        protocol.openHandshakeTimeoutCall.cancel()
        protocol.openHandshakeTimeoutCall = None
    return {name: value for name, value in vars(protocol).items() if name not in FRAMEWORK}


AUTOBAHN = set_by_autobahn()


def test_autobahn_sets_about_as_much_as_we_think() -> None:
    assert len(AUTOBAHN) > 40
    assert "utf8validator" in AUTOBAHN
    assert "is_closed" in AUTOBAHN


@pytest.mark.parametrize("name", sorted(AUTOBAHN))
def test_what_autobahn_sets_is_set_on_the_class(name: str) -> None:
    if name in NOT_NEEDED:
        assert name not in vars(SlimServerProtocol)
        return
    connection = MemoryNode().connect().connection
    ours = getattr(connection, name)
    theirs = AUTOBAHN[name]
    if name in BY_TYPE:
        assert type(ours) is type(theirs) is BY_TYPE[name]
    elif name in DIFFERENT:
        assert ours != theirs
    else:
        assert ours == theirs
        assert type(ours) is type(theirs)


@pytest.mark.parametrize("name", WebSocketServerProtocol.CONFIG_ATTRS)
def test_every_option_of_autobahn_is_decided(name: str) -> None:
    decided = hasattr(SlimServerProtocol, name) or hasattr(Connection, name)
    assert decided != (name in NOT_NEEDED)
    assert name in AUTOBAHN


@pytest.mark.parametrize("name", sorted({*NOT_NEEDED, *DIFFERENT, *BY_TYPE}))
def test_the_exceptions_are_still_set_by_autobahn(name: str) -> None:
    assert name in AUTOBAHN


def test_nothing_is_set_on_the_class_that_autobahn_does_not_know() -> None:
    ours = {name for name in vars(SlimServerProtocol) if not name.startswith("__")}
    set_later = {
        # By the framework, by Autobahn's handshake, or when a frame is read.
        "factory",
        "current_frame",
        "inside_message",
        "websocket_version",
    }
    assert ours - set(AUTOBAHN) == set_later


def test_connections_carry_nothing_of_autobahn() -> None:
    node = MemoryNode()
    for connection in (node.connect().connection, node.open().connection):
        assert set(vars(connection)) & set(AUTOBAHN) <= {"data", "state"}
        assert connection.data == b""


def test_validators_are_not_shared() -> None:
    node = MemoryNode()
    one, two = node.connect().connection, node.connect().connection
    assert one.utf8validator is one.utf8validator
    assert one.utf8validator is not two.utf8validator
