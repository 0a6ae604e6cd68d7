"""Several kinds of application code as one.

Owns: their order. Must not import: the edges.

Whoever decides is asked in the order of the configuration: the first refusal ends it, and what one
has rewritten is what the next one gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from wampush.broker.identity import Identity
from wampush.broker.pending import PASS, Verdict
from wampush.broker.requests.application import Application, Decide, Reply
from wampush.wamp.messages import Call, Publish, Subscribe

if TYPE_CHECKING:
    from wampush.apps.python.sessions import Sessions
    from wampush.broker.requests.connect import ConnectAttempt
    from wampush.broker.subscriber import Subscriber


class ChainLink(Application, Protocol):
    """One of them: Python apps, webhooks, what answers WAMP-CRA."""

    @property
    def judges_connecting(self) -> bool:
        """Whether :meth:`connecting` has to be asked."""

    def connecting(self, arrival: ConnectAttempt) -> Deferred[None]:
        """A client wants in, see ``edges/doorkeeper.py``."""


class ApplicationChain:
    """All of them; an ``Application`` and a ``Doorkeeper``.

    :param parts: in the order in which they are asked.
    :param sessions: the clients, as apps know them.
    :param cancel: gives up what runs on behalf of a session.
    """

    def __init__(
        self, parts: Sequence[ChainLink], sessions: Sessions, cancel: Callable[[Subscriber], None]
    ) -> None:
        self._parts = parts
        self._sessions = sessions
        self._cancel = cancel
        self._doorkeepers = [part for part in parts if part.judges_connecting]
        self._subscribing = [part for part in parts if part.judges_subscribing]
        self._publishing = [part for part in parts if part.judges_publishing]
        self.judges_connecting: Final = bool(self._doorkeepers)
        self.judges_subscribing: Final = bool(self._subscribing)
        self.judges_publishing: Final = bool(self._publishing)

    def has_procedure(self, uri: str) -> bool:
        """Whether one of them answers calls of this URI."""
        return any(part.has_procedure(uri) for part in self._parts)

    def has_action(self, topic: str) -> bool:
        """Whether what clients publish on this topic is an action of one of them."""
        return any(part.has_action(topic) for part in self._parts)

    # Sessions.

    def connecting(self, arrival: ConnectAttempt) -> Deferred[None]:
        """A client wants in: all have to agree."""
        agreed = Deferred.fromCoroutine(self._connecting(arrival))
        return agreed.addErrback(self._turned_away, arrival)

    def on_open(self, subscriber: Subscriber) -> None:
        """A session has got its WELCOME."""
        self._sessions.on_open(subscriber)
        for part in self._parts:
            part.on_open(subscriber)

    def on_identity(self, subscriber: Subscriber, before: Identity) -> None:
        """A session has become somebody else, or has a fresh proof of who it is."""
        for part in self._parts:
            part.on_identity(subscriber, before)

    def on_lost(self, subscriber: Subscriber) -> None:
        """A session has ended: what runs for it is cancelled, then they hear of its end."""
        self._cancel(subscriber)
        self._sessions.on_lost(subscriber)
        for part in self._parts:
            part.on_lost(subscriber)

    # Requests.

    def subscribing(self, subscriber: Subscriber, request: Subscribe, decide: Decide) -> None:
        """A client that may subscribe wants to."""
        self._ask_to_subscribe(0, subscriber, request, decide, PASS)

    def publishing(self, subscriber: Subscriber, request: Publish, decide: Decide) -> None:
        """A client that may publish wants to."""
        self._ask_to_publish(0, subscriber, request, None, decide, PASS)

    def call(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """A client that may call a procedure does; only for what one of them has."""
        part = next(part for part in self._parts if part.has_procedure(call.procedure))
        part.call(subscriber, call, reply)

    def act(self, subscriber: Subscriber, request: Publish, done: Callable[[], None]) -> None:
        """A client has sent an action; only for what one of them has."""
        part = next(part for part in self._parts if part.has_action(request.topic))
        part.act(subscriber, request, done)

    # One after the other.

    async def _connecting(self, arrival: ConnectAttempt) -> None:
        for part in self._doorkeepers:
            await part.connecting(arrival)

    def _turned_away(self, failure: Failure, arrival: ConnectAttempt) -> Failure:
        self._sessions.turned_away(arrival)
        return failure

    def _ask_to_subscribe(
        self,
        number: int,
        subscriber: Subscriber,
        request: Subscribe,
        decide: Decide,
        verdict: Verdict,
    ) -> None:
        """Ask from the part of this number on.

        :param verdict: of the one before.
        """
        if verdict.refusal is not None or number == len(self._subscribing):
            decide(verdict)
            return
        then = partial(self._ask_to_subscribe, number + 1, subscriber, request, decide)
        self._subscribing[number].subscribing(subscriber, request, then)

    def _ask_to_publish(
        self,
        number: int,
        subscriber: Subscriber,
        request: Publish,
        rewritten: bytes | None,
        decide: Decide,
        verdict: Verdict,
    ) -> None:
        """Ask from the part of this number on.

        :param rewritten: what they have made of the payload so far; None when nothing.
        :param verdict: of the one before.
        """
        if verdict.refusal is not None:
            decide(verdict)
            return
        if verdict.payload is not None:
            rewritten = verdict.payload
            request = replace(request, event=rewritten)
        if number == len(self._publishing):
            decide(Verdict(payload=rewritten))
            return
        then = partial(self._ask_to_publish, number + 1, subscriber, request, rewritten, decide)
        self._publishing[number].publishing(subscriber, request, then)
