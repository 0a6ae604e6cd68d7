"""A connected client, as the broker sees it.

Owns: the pair of session and outbox. Must not import: Twisted, the edges.
"""

from __future__ import annotations

from wampush.broker.outbox import Outbox
from wampush.wamp.session import Session


class Subscriber:
    """One client: what it has said (``session``) and what waits for it (``outbox``)."""

    __slots__ = ("outbox", "session")

    def __init__(self, session: Session, outbox: Outbox) -> None:
        self.session = session
        self.outbox = outbox

    @property
    def session_id(self) -> str:
        """The id told in WELCOME."""
        return self.session.session_id
