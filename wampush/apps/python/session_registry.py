"""The sessions of clients, as apps see them.

Owns: when a Session is created, opened and ended. Must not import: Twisted, the edges.

A client that no handler is called for has no Session. The Session is kept by the broker's
subscriber, so that it lives as long as that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wampush.apps.python.session import Session
from wampush.broker.subscriber import KeptHandle

if TYPE_CHECKING:
    from wampush.apps.python.server_api import ServerApi
    from wampush.broker.requests.connect_request import ConnectAttempt
    from wampush.broker.subscriber import Subscriber


class Sessions:
    """Gives all apps the same Session for a client.

    :param api: the server.
    """

    def __init__(self, api: ServerApi) -> None:
        self._api = api

    def connecting(self, attempt: ConnectAttempt) -> Session:
        """Return the session of a client that is about to connect."""
        subscriber = attempt.subscriber
        known = None if subscriber is None else subscriber.handle
        if isinstance(known, Session):
            return known
        session = Session(self._api, subscriber, attempt.identity, attempt.address)
        if subscriber is not None:
            subscriber.handle = session
        return session

    def of(self, subscriber: Subscriber) -> Session:
        """Return the session of a client that has got its WELCOME."""
        known = subscriber.handle
        if isinstance(known, Session):
            return known
        address = "" if subscriber.peer is None else subscriber.peer.address
        session = Session(self._api, subscriber, subscriber.identity, address)
        session.on_open()
        if isinstance(known, KeptHandle):
            session.restore(known.values)
        subscriber.handle = session
        return session

    def ended(self, subscriber: Subscriber) -> Session:
        """Return the session of a client that is gone."""
        session = self.of(subscriber)
        session.on_lost()
        return session

    def on_connect_refused(self, attempt: ConnectAttempt) -> None:
        """End the session of a client that must not connect."""
        if attempt.subscriber is not None:
            self.on_lost(attempt.subscriber)

    def on_open(self, subscriber: Subscriber) -> None:
        """Open the session of a client that has got its WELCOME."""
        if isinstance(subscriber.handle, Session):
            subscriber.handle.on_open()

    def on_lost(self, subscriber: Subscriber) -> None:
        """End the session of a client that is gone."""
        if isinstance(subscriber.handle, Session):
            subscriber.handle.on_lost()
