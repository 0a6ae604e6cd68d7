"""Sockets that go on in another process.

Owns: taking a connected socket out of the reactor without a trace on the wire, and the way back.
Must not import: the edges, the broker.

Both processes have the same connection. When Twisted closes a socket it shuts the connection down
first, and an abort changes what closing does, for both processes. So the transport is only
forgotten here: the reactor does not watch it any more, and its descriptor is closed.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import tcp, unix

from wampush.net.accepting.slim_sockets import NOT_BLOCKING, slim_server_without_port


def carrier_of(transport: Any) -> Any:
    """Return Twisted's own transport of a plain socket; None where there is none, as with TLS.

    :param transport: perhaps wrapped, as by the PROXY protocol.
    """
    carrier = transport
    while not isinstance(carrier, tcp.Connection):
        carrier = getattr(carrier, "transport", None)
        if carrier is None:
            return None
    # TLS that began later takes the place of the transport's methods.
    is_plain = isinstance(transport.getHandle(), socket.SocketType) and not carrier.TLS
    return carrier if is_plain else None


def detach(carrier: Any) -> tuple[int, bytes]:
    """Take a socket from its transport, which does nothing from now on.

    :param carrier: of :func:`carrier_of`.
    :returns: its descriptor, to be closed only; and what the transport has not sent.
    """
    # Nothing public shows what a transport has not sent.
    unsent = bytes(carrier.dataBuffer[carrier.offset :]) + b"".join(carrier._tempDataBuffer)  # noqa: SLF001
    carrier.producer = None
    carrier.stopReading()
    carrier.stopWriting()
    carrier.connected, carrier.disconnected = 0, 1
    carrier.dataBuffer, carrier.offset = b"", 0
    carrier._tempDataBuffer, carrier._tempDataLen = [], 0  # noqa: SLF001
    descriptor = carrier.socket.detach()
    # Twisted takes a transport without this attribute for one that was closed.
    del carrier.socket
    return descriptor, unsent


def attach(descriptor: int, protocol: Any, reactor: Any) -> Any:
    """Make the transport of a socket from another process; it does not read yet.

    :param descriptor: of the socket, which does not block; the transport closes it.
    :param protocol: gets what arrives; its ``makeConnection`` is not called.
    :param reactor: watches the socket (``IReactorFDSet``).
    :raises OSError: the client is gone.
    """
    # The system says the family, and need not be asked for the rest.
    received = socket.SocketType(-1, NOT_BLOCKING, 0, descriptor)
    try:
        peer, family = received.getpeername(), received.family
        is_file = family == socket.AF_UNIX
        kind: Any = unix.Server if is_file else slim_server_without_port(reactor, family)
        transport: Any = kind(received, protocol, peer, None, descriptor, reactor)
    except BaseException:
        received.close()
        raise
    if is_file:
        # Twisted's own kind reads at once.
        transport.stopReading()
        transport.repstr = f"<{type(protocol).__name__} #{descriptor}>"
    protocol.transport = transport
    return transport
