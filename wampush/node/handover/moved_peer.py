"""The connection of a session that another node has, as the broker of the old node sees it.

Owns: what the broker asks of such a connection, as records for the other node.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wampush.broker.identity import Identity, identity_as_json
from wampush.errors import CloseReason
from wampush.node.handover.records import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from wampush.broker.subscriber import Peer


class MovedPeer:
    """Has the other node do what the broker asks for.

    :param peer: the connection before.
    :param session_id: of the session.
    :param send: sends a record with this header.
    """

    def __init__(
        self, peer: Peer | None, session_id: str, send: Callable[[Kind, object], None]
    ) -> None:
        self.address: Final = "" if peer is None else peer.address
        self.address_name: Final = None if peer is None else peer.address_name
        self.is_local: Final = peer is not None and peer.is_local
        self.answers_pings: Final = peer is not None and peer.answers_pings
        self.visitor: Final = None if peer is None else peer.visitor
        self._session_id = session_id
        self._send = send
        #: Why the session has ended, as far as this node knows.
        self.ended: CloseReason | None = None

    def accept_identity(self, identity: Identity) -> bool:
        """Give the session another identity in the other node, and not here."""
        values = {"session": self._session_id, "identity": identity_as_json(identity)}
        self._send(Kind.IDENTITY, values)
        return False

    def on_gap(self, topic: str) -> None:
        """Do nothing: the client sees the gap by positions, if it sees them."""

    def end(self, reason: CloseReason, detail: str = "") -> None:
        """End the session in the other node."""
        if self.ended is None:
            self.ended = reason
            values = {"session": self._session_id, "reason": reason.code, "detail": detail}
            self._send(Kind.END_SESSION, values)
