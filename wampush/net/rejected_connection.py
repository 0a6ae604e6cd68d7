"""A connection that a listening port has no room for.

Owns: ending it before a byte is read. Must not import: the broker, the edges.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol


class RejectedConnection(Protocol):
    """Ends its connection at once.

    A factory for TCP may return None instead, but the PROXY protocol, which wraps it, needs a
    protocol.
    """

    def connectionMade(self) -> None:
        """Abort the connection."""
        transport: Any = self.transport
        transport.abortConnection()
