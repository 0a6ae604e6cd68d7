"""Options of the TCP sockets that clients connect to.

Owns: which they are. Must not import: anything of wampush.

A connection gets the options that its listening socket has at the moment in which the kernel
completes it, which may be long before it is accepted (tcp(7)). So they have to be set before a
socket listens; where somebody else has opened it, on each connection.
"""

from __future__ import annotations

import socket
import sys
from typing import Final

#: Unsent bytes that the kernel accepts for a client. Without this limit, each client that stops
#: reading gets megabytes of kernel memory that no limit here counts, and filling them slows down
#: all others.
UNSENT_BYTES: Final = 128 * 1024
# tcp(7); Python's socket module has the constant from 3.12 on.
TCP_NOTSENT_LOWAT: Final = 25


def set_tcp_options(tcp: socket.socket) -> None:
    """Have each event sent at once, and limit what the kernel keeps for a client.

    Without ``TCP_NODELAY``, an event that follows another one waits for the client's
    acknowledgement, 40 ms on Linux (RFC 9293 section 3.7.4).

    :param tcp: listens or will listen, or is a connection.
    """
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if sys.platform == "linux":
        tcp.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES)
