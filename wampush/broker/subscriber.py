"""A connected client, as the broker sees it.

Owns: session, outbox, identity, and how much of its rates is used. Must not import: Twisted, the
edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from wampush.broker.access.token_bucket import TokenBucket
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.pending import PendingRequests
from wampush.errors import CloseReason
from wampush.wamp.session import Request


class ClientSession(Protocol):
    """One client's protocol: reads its requests and writes what it is answered.

    ``wamp.session`` implements it; texts are framed by the format of the client's outbox.
    """

    @property
    def session_id(self) -> str:
        """The id that WELCOME carries."""

    @property
    def prefixes(self) -> Mapping[str, str]:
        """The prefixes that the client has defined."""

    def receive(self, text: bytes) -> Request | None:
        """Return what a message asks for; None when it only changed the session.

        :raises MessageRefused: when the text is none of the messages that a client sends.
        """

    def call_arguments(self, text: bytes) -> tuple[object, ...]:
        """Return the arguments of a call.

        :param text: a call that :meth:`receive` has taken.
        """

    def welcome(self) -> bytes:
        """Return the first message to the client."""

    def result(self, call_id: str, value: object) -> bytes:
        """Return the answer to a call.

        :raises NotSerialisable: when the value has no JSON form.
        """

    def error(self, call_id: str, uri: str, description: str, details: object = None) -> bytes:
        """Return the refusal of a call.

        :raises NotSerialisable: when the details have no JSON form.
        """


class Peer(Protocol):
    """The connection that a client came by."""

    @property
    def address(self) -> str:
        """The client's address, proxies believed."""

    @property
    def is_local(self) -> bool:
        """Whether it came from this machine, and from no page of another host."""

    @property
    def ended(self) -> CloseReason | None:
        """Why the connection has ended; None while it has not."""

    def accept_identity(self, identity: Identity) -> bool:
        """Count the connection for the user of this identity, and no longer for the one before.

        :param identity: that the session is about to get.
        :returns: False when the connection does not go on: it has ended, or ends now because the
            user has too many.
        """

    def end(self, reason: CloseReason, detail: str = "") -> None:
        """End the connection once what is queued for it is sent."""


class Subscriber:
    """One client: what it has said (``session``), what waits for it (``outbox``), who it is.

    :param identity: who is behind it, as known so far.
    :param peer: its connection; None where there is none, as in tests.
    """

    __slots__ = (
        "__weakref__",
        "buckets",
        "handle",
        "identity",
        "outbox",
        "peer",
        "pending",
        "session",
    )

    def __init__(
        self,
        session: ClientSession,
        outbox: Outbox,
        identity: Identity = ANONYMOUS,
        peer: Peer | None = None,
    ) -> None:
        self.session = session
        self.outbox = outbox
        self.identity = identity
        self.peer = peer
        #: By the number of the rule; None until a rule with a rate is met, which keeps idle small.
        self.buckets: dict[int, TokenBucket] | None = None
        #: Requests that wait for the application; None while there are none.
        self.pending: PendingRequests | None = None
        #: What application code holds of it; None until it needs something.
        self.handle: object = None

    @property
    def session_id(self) -> str:
        """The id that WELCOME carries."""
        return self.session.session_id

    @property
    def is_local(self) -> bool:
        """Whether it came from this machine, and from no page of another host."""
        return self.peer is not None and self.peer.is_local
