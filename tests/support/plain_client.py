"""A blocking client of plain WebSocket on a bare socket, independent of what is under test."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import struct
from types import TracebackType
from typing import Self

from tests.support.waiting import PATIENCE


class PlainClient:
    """One connection (RFC 6455), opened.

    :param port: port on loopback.
    :param path: with a query, if there is one.
    :param tls: for a port that speaks TLS, how.
    :param patience: seconds after which a read counts as silence and raises TimeoutError.
    """

    def __init__(
        self,
        port: int,
        path: str = "/",
        tls: ssl.SSLContext | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), patience)
        if tls is not None:
            self._socket = tls.wrap_socket(self._socket, server_hostname="localhost")
        self._stream = self._socket.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        status = self._stream.readline().decode()
        assert " 101 " in status, status
        while self._stream.readline() not in (b"\r\n", b""):
            pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Go away without a Close frame."""
        self._stream.close()
        self._socket.close()

    def send(self, data: str | bytes) -> None:
        """Send a text or binary message in one masked frame."""
        if isinstance(data, str):
            self._send(0x81, data.encode())
        else:
            self._send(0x82, data)

    def _send(self, first: int, payload: bytes) -> None:
        mask = os.urandom(4)
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack("!H", size)
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._socket.sendall(bytes([first]) + length + mask + masked)

    def receive(self) -> str | bytes:
        """The next message; pings that come before it are answered."""
        while True:
            opcode, payload = self._frame()
            assert opcode != 8, f"the server closed: {payload!r}"
            if opcode == 9:
                # A client that is silent for a minute is dropped, and tests may take longer.
                self._send(0x8A, payload)
            if opcode in (1, 2):
                return payload.decode() if opcode == 1 else payload

    def closed(self) -> tuple[int, str]:
        """Wait for the server's Close frame; its code and reason."""
        while True:
            opcode, payload = self._frame()
            if opcode == 8:
                return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    def _frame(self) -> tuple[int, bytes]:
        head = self._stream.read(2)
        assert len(head) == 2, "the server ended the connection"
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._stream.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._stream.read(8))
        return head[0] & 0x0F, self._stream.read(length)
