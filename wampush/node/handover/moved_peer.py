"""The connection of a session that another node has, as the broker of the old node sees it.

Owns: what the broker asks of such a connection, as records for the other node.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

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

    __slots__ = ("_peer", "_send", "_session_id", "ended")

    def __init__(
        self, peer: Peer | None, session_id: str, send: Callable[[Kind, object], None]
    ) -> None:
        # Asked for rarely, and there is one for each session.
        self._peer = peer
        self._session_id = session_id
        self._send = send
        #: Why the session has ended, as far as this node knows.
        self.ended: CloseReason | None = None

    @property
    def address(self) -> str:
        """The client's address."""
        return "" if self._peer is None else self._peer.address

    @property
    def address_name(self) -> str | None:
        """The name under which the address is counted; None for one without limits."""
        return None if self._peer is None else self._peer.address_name

    @property
    def is_local(self) -> bool:
        """Whether the client is on this machine, and is not a page of another host."""
        return self._peer is not None and self._peer.is_local

    @property
    def answers_pings(self) -> bool:
        """Whether pings go to the client, and its answers to the broker."""
        return self._peer is not None and self._peer.answers_pings

    @property
    def visitor(self) -> str | None:
        """The name of the browser for gap replay."""
        return None if self._peer is None else self._peer.visitor

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
