"""A blocking WAMP v1 client on a plain socket, independent of every library under test."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tests.support.waiting import PATIENCE


class RawClient:
    """One open connection to the WebSocket port (RFC 6455) that has received WELCOME.

    :param port: on loopback.
    :param patience: seconds that a read may wait before it raises TimeoutError.
    :param tls: the TLS context for a port with TLS; None for a port without.
    :param path: with the query, if there is one.
    :param cookie: value of the Cookie header; "" for none.
    :param source: the local address to connect from, in 127.0.0.0/8.
    :param headers: further lines of the request.
    """

    def __init__(
        self,
        port: int,
        patience: float = PATIENCE,
        tls: ssl.SSLContext | None = None,
        path: str = "/",
        cookie: str = "",
        source: str = "127.0.0.1",
        headers: Sequence[str] = (),
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), patience, (source, 0))
        # Otherwise a second message waits for the acknowledgement of the first, for 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname="localhost")
        self._stream = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        cookies = [f"Cookie: {cookie}"] if cookie else []
        lines = "".join(f"{line}\r\n" for line in (*cookies, *headers))
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"{lines}Sec-WebSocket-Protocol: wamp\r\n\r\n".encode()
        )
        status = self._stream.readline().decode()
        assert " 101 " in status, status
        while self._stream.readline() not in (b"\r\n", b""):
            pass
        self.welcome = self.receive()
        assert self.welcome[0] == 0, self.welcome

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, *message: object) -> None:
        """Send one WAMP message in a masked text frame.

        :param message: its elements.
        """
        self._send(0x81, json.dumps(message).encode())

    def _send(self, first: int, data: bytes) -> None:
        mask = os.urandom(4)
        length = (
            bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
        )
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self._socket.sendall(bytes([first]) + length + mask + masked)

    def receive(self) -> list[Any]:
        """Return the next WAMP message."""
        message = json.loads(self.receive_text())
        assert isinstance(message, list)
        return message

    def receive_text(self) -> str:
        """Return the next text message; answer pings that come before it."""
        while True:
            head = self._stream.read(2)
            assert len(head) == 2, "the server ended the connection"
            length = head[1] & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self._stream.read(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._stream.read(8))
            data = self._stream.read(length)
            if head[0] & 0x0F == 1:
                return data.decode()
            if head[0] & 0x0F == 9:
                # A client that is silent for a minute is dropped, and tests may take longer.
                self._send(0x8A, data)

    def subscribe(self, topic: str) -> None:
        """Subscribe, and wait until the server has done so."""
        self.send(5, topic)
        self.settle()

    def settle(self) -> None:
        """Wait until the server has done what was sent before."""
        self.send(2, "settled", "http://example.com/none")
        answer = self.receive()
        assert answer[:2] == [4, "settled"], answer
