"""Who decides last whether a client is let in.

Owns: the protocol by which the edge asks application code.
Must not import: Autobahn, the apps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from wampush.broker.requests.connect import ConnectAttempt


class ConnectHook(Protocol):
    """Asked once it is known who a client is, and before the handshake is answered."""

    def connecting(self, arrival: ConnectAttempt) -> Deferred[None]:
        """A client wants in.

        :returns: fires when it may; fails with AuthenticationRefused when it may not, which is
            answered with the HTTP status of its reason and its detail. It is cancelled when the
            client goes away or ``websocket.handshake_timeout`` has passed.
        """
