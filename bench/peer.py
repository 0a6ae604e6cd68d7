"""One WebSocket client on a blocking socket, for what the load generator does not do.

Owns: the opening handshake of a client, the frames it sends, and the texts it receives.
Must not import: wampush, scenarios.
"""

from __future__ import annotations

import socket
import ssl
import struct

from bench.native import BenchError

_WELCOME = b"[0,"
_PATIENCE_SECONDS = 30.0


def frame(text: bytes) -> bytes:
    """Return a text frame with a mask of zeros, which leaves the text as it is."""
    size = len(text)
    if size < 126:
        header = bytes((0x81, 0x80 | size))
    elif size < 65_536:
        header = struct.pack("!BBH", 0x81, 0xFE, size)
    else:
        header = struct.pack("!BBQ", 0x81, 0xFF, size)
    return header + bytes(4) + text


def upgrade(path: str = "/", subprotocol: str = "wamp") -> bytes:
    """Return the request that opens a WebSocket connection."""
    line = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"{line}\r\n"
    ).encode()


def connect(
    port: int, context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None
) -> socket.socket:
    """Connect to a port of this machine.

    :param context: for a port with TLS; None for one without.
    :param session: of another connection with this context, to resume; None for a full handshake.
    """
    connection = socket.create_connection(("127.0.0.1", port), _PATIENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if context is not None:
        connection = context.wrap_socket(connection, server_hostname="localhost", session=session)
    return connection


def open_session(
    port: int, context: ssl.SSLContext | None = None, session: ssl.SSLSession | None = None
) -> socket.socket:
    """Connect and open a WAMP session; the parameters are those of :func:`connect`.

    :returns: the connection, once WELCOME has come.
    :raises BenchError: the server refuses.
    """
    connection = connect(port, context, session)
    connection.sendall(upgrade())
    answer = b""
    while _WELCOME not in answer or not answer.endswith(b"]"):
        data = connection.recv(4096)
        if not data:
            connection.close()
            raise BenchError(f"the handshake was refused: {answer[:200]!r}")
        answer += data
    return connection


def receive(connection: socket.socket) -> bytes:
    """Return the text of the next frame, which must not be a control frame.

    :raises BenchError: the server has closed the connection.
    """
    header = _exactly(connection, 2)
    size = header[1]
    if size == 126:
        (size,) = struct.unpack("!H", _exactly(connection, 2))
    elif size == 127:
        (size,) = struct.unpack("!Q", _exactly(connection, 8))
    return _exactly(connection, size)


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise BenchError("the server has closed the connection")
        data += part
    return bytes(data)
