"""A connected client, as the broker sees it.

Owns: session, outbox, identity, and how much of its rates is used. Must not import: Twisted, the
edges.
"""

from __future__ import annotations

from collections.abc import Callable

from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.outbox import Outbox
from wampush.broker.permissions import TokenBucket
from wampush.wamp.session import Session


class Subscriber:
    """One client: what it has said (``session``), what waits for it (``outbox``), who it is.

    :param identity: who is behind it, as known so far.
    """

    __slots__ = ("__weakref__", "buckets", "identity", "on_identity", "outbox", "session")

    def __init__(self, session: Session, outbox: Outbox, identity: Identity = ANONYMOUS) -> None:
        self.session = session
        self.outbox = outbox
        self.identity = identity
        #: Called when the identity has changed; the connection watches when it expires.
        self.on_identity: Callable[[], None] | None = None
        #: By the number of the rule; None until a rule with a rate is met, which keeps idle small.
        self.buckets: dict[int, TokenBucket] | None = None

    @property
    def session_id(self) -> str:
        """The id told in WELCOME."""
        return self.session.session_id

    def become(self, identity: Identity) -> None:
        """It is known who this is.

        What it is subscribed to is another matter, see
        :meth:`wampush.broker.broker.Broker.review`.
        """
        self.identity = identity
        if self.on_identity is not None:
            self.on_identity()
