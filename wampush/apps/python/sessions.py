"""The sessions as apps know them.

Owns: when a Session is made, opened and closed. Must not import: Twisted, the edges.

A client of which no handler has to know has none. It hangs on the broker's subscriber, so that it
ends with that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wampush.apps.python.context import Server, Session

if TYPE_CHECKING:
    from wampush.broker.requests.connect import ConnectAttempt
    from wampush.broker.subscriber import Subscriber


class Sessions:
    """Gives all apps the same Session of a client.

    :param server: does the work.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    def arriving(self, arrival: ConnectAttempt) -> Session:
        """The session of a client that is not let in yet."""
        subscriber = arrival.subscriber
        known = None if subscriber is None else subscriber.handle
        if isinstance(known, Session):
            return known
        session = Session(self._server, subscriber, arrival.identity, arrival.address)
        if subscriber is not None:
            subscriber.handle = session
        return session

    def turned_away(self, arrival: ConnectAttempt) -> None:
        """A client was not let in after all."""
        if arrival.subscriber is not None:
            self.on_lost(arrival.subscriber)

    def on_open(self, subscriber: Subscriber) -> None:
        """A client has got its WELCOME."""
        if isinstance(subscriber.handle, Session):
            subscriber.handle.on_open()

    def of(self, subscriber: Subscriber) -> Session:
        """The session of a client that has got its WELCOME."""
        known = subscriber.handle
        if isinstance(known, Session):
            return known
        address = "" if subscriber.peer is None else subscriber.peer.address
        session = Session(self._server, subscriber, subscriber.identity, address)
        session.on_open()
        subscriber.handle = session
        return session

    def on_lost(self, subscriber: Subscriber) -> None:
        """A client is gone."""
        if isinstance(subscriber.handle, Session):
            subscriber.handle.on_lost()

    def left(self, subscriber: Subscriber) -> Session:
        """The session of a client that is gone."""
        session = self.of(subscriber)
        session.on_lost()
        return session
