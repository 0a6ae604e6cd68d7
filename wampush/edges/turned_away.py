"""What an accepted socket gets when there is no room for it.

Owns: the protocol that ends its connection. Must not import: anything of wampush.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol


class TurnedAway(Protocol):
    """Ends its connection; Twisted's TLS can not do without a protocol, as plain TCP can."""

    def connectionMade(self) -> None:
        """The TCP connection is there."""
        transport: Any = self.transport
        transport.abortConnection()
