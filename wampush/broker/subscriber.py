"""A connected client, as the broker sees it.

Owns: its session, outbox, identity, pending requests and used rates; the protocols of session,
connection and what the application keeps. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from wampush.broker.access.token_bucket import TokenBucket
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.pending import PendingRequests
from wampush.broker.subscription_index import NO_TOPICS
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

    def receive(self, text: bytes, keep: Callable[[str, str], None]) -> Request | None:
        """Return what a message asks for; None when it only changed the session.

        :param keep: called with a prefix and its URI before they are kept; may raise
            MessageRefused.
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
    """The connection of a client."""

    @property
    def address(self) -> str:
        """The client's address, as trusted proxies report it."""

    @property
    def address_name(self) -> str | None:
        """The name under which the address is counted; None for one without limits."""

    @property
    def is_local(self) -> bool:
        """Whether the client is on this machine, and is not a page of another host."""

    @property
    def ended(self) -> CloseReason | None:
        """Why the connection has ended; None while it is open."""

    @property
    def answers_pings(self) -> bool:
        """Whether pings go to the client, and its answers to the broker."""

    @property
    def visitor(self) -> str | None:
        """The name of the browser for gap replay, if it has no user; see ``history.visitors``."""

    def accept_identity(self, identity: Identity) -> bool:
        """Count the connection for the user of this identity, and no longer for the one before.

        :param identity: that the session is about to get.
        :returns: False when the connection does not go on: it has ended, or ends now because the
            user has too many.
        """

    def end(self, reason: CloseReason, detail: str = "") -> None:
        """End the connection once what is queued for it is sent."""

    def on_gap(self, topic: str) -> None:
        """Learn that the client has missed events of a topic; clients without positions cannot."""


class Attempt(Protocol):
    """An attempt to authenticate."""

    def snapshot(self) -> Mapping[str, object] | None:
        """Return what another process needs to judge it; None if it cannot go on there."""


class Handle(Protocol):
    """What the application keeps of a session."""

    def snapshot(self) -> Mapping[str, object] | None:
        """Return what another process needs of it, as JSON values; None for nothing."""


class KeptHandle:
    """What the application has kept in another process, until it asks for the session here.

    :param values: as JSON values.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        self.values: Final = values

    def snapshot(self) -> Mapping[str, object]:
        """Return the same for a third process."""
        return self.values


class Subscriber:
    """One client of the broker.

    :param session: reads and writes its protocol.
    :param outbox: the queue of its frames.
    :param identity: the user that it is authenticated as; changed by the broker only.
    :param peer: its connection; None if there is none, as in tests.
    """

    __slots__ = (
        "__weakref__",
        "attempt",
        "buckets",
        "handle",
        "identity",
        "outbox",
        "peer",
        "pending",
        "session",
        "topics",
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
        #: What it is subscribed to; changed by the index of subscriptions only.
        self.topics: frozenset[str] | set[str] = NO_TOPICS
        #: Used rates by rule number; None until a rule with a rate applies, to save memory.
        self.buckets: dict[int, TokenBucket] | None = None
        #: Requests that wait for the application; None while there are none.
        self.pending: PendingRequests | None = None
        #: To authenticate by WAMP-CRA; None while there is none.
        self.attempt: Attempt | None = None
        #: Kept here for the application; None until it needs something.
        self.handle: Handle | None = None

    @property
    def session_id(self) -> str:
        """The id that WELCOME carries."""
        return self.session.session_id

    @property
    def address_name(self) -> str | None:
        """The name under which the client's address is counted; None for one without limits."""
        return None if self.peer is None else self.peer.address_name

    @property
    def is_local(self) -> bool:
        """Whether the client is on this machine, and is not a page of another host."""
        return self.peer is not None and self.peer.is_local
