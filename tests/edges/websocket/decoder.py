"""A decoder of server frames that shares nothing with the server."""

# ruff: noqa: N802, N803 (Autobahn's names)

from __future__ import annotations

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from autobahn.websocket.compress_deflate import (
    PerMessageDeflate,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport


class Decoder(WebSocketClientProtocol):
    """Autobahn's client after its handshake."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[tuple[bytes, bool]] = []
        self.pings: list[bytes] = []

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.messages.append((payload, isBinary))

    def onPing(self, payload: bytes) -> None:
        self.pings.append(payload)

    @property
    def texts(self) -> list[bytes]:
        assert not any(binary for _, binary in self.messages)
        return [payload for payload, _ in self.messages]


def decoder(extension: str = "") -> Decoder:
    """A client of a server that answered with this Sec-WebSocket-Extensions."""
    factory = WebSocketClientFactory("ws://127.0.0.1:1/", reactor=Clock())
    factory.protocol = Decoder
    client = factory.buildProtocol(None)
    client.makeConnection(StringTransport())
    client.state = client.STATE_OPEN
    client.inside_message = False
    client.current_frame = None
    client.websocket_version = 13
    if extension:
        ((_, parameters),) = client._parseExtensionsHeader(extension)
        response = PerMessageDeflateResponse.parse(parameters)
        accept = PerMessageDeflateResponseAccept(response)
        client._perMessageCompress = PerMessageDeflate.create_from_response_accept(False, accept)
    return client


def decode(data: bytes, extension: str = "") -> list[bytes]:
    """Return the text messages in complete frames."""
    client = decoder(extension)
    client.dataReceived(data)
    assert client.state == client.STATE_OPEN, client.wasNotCleanReason
    assert client.data == b""
    assert client.current_frame is None
    return client.texts
