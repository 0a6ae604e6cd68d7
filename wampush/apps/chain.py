"""Several kinds of application code as one application.

Owns: their order. Must not import: the edges.

Links decide in the order of the configuration: the first refusal ends the chain, and what one link
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
    from wampush.apps.python.session_registry import Sessions
    from wampush.broker.requests.connect_request import ConnectAttempt
    from wampush.broker.subscriber import Subscriber


class ChainLink(Application, Protocol):
    """A Python app, or webhooks."""

    @property
    def judges_connecting(self) -> bool:
        """Whether :meth:`connecting` has to be called."""

    def connecting(self, attempt: ConnectAttempt) -> Deferred[None]:
        """Decide about a client that connects; see ``ConnectHook`` of the WebSocket edge."""


class ApplicationChain:
    """All links as one ``Application`` and ``ConnectHook``.

    :param links: in the order in which they decide.
    :param sessions: the sessions as apps see them.
    :param cancel: cancels the handlers that run on behalf of a session.
    """

    def __init__(
        self, links: Sequence[ChainLink], sessions: Sessions, cancel: Callable[[Subscriber], None]
    ) -> None:
        self._links = links
        self._sessions = sessions
        self._cancel = cancel
        self._connecting_links = [link for link in links if link.judges_connecting]
        self._subscribing_links = [link for link in links if link.judges_subscribing]
        self._publishing_links = [link for link in links if link.judges_publishing]
        self.judges_connecting: Final = bool(self._connecting_links)
        self.judges_subscribing: Final = bool(self._subscribing_links)
        self.judges_publishing: Final = bool(self._publishing_links)

    def has_procedure(self, uri: str) -> bool:
        """Whether a link answers calls of this URI."""
        return any(link.has_procedure(uri) for link in self._links)

    def has_action(self, topic: str) -> bool:
        """Whether a link takes publications on this topic as actions."""
        return any(link.has_action(topic) for link in self._links)

    # Sessions.

    def connecting(self, attempt: ConnectAttempt) -> Deferred[None]:
        """Decide about a client that connects: every link has to allow it."""
        allowed = Deferred.fromCoroutine(self._connecting(attempt))
        return allowed.addErrback(self._on_connect_refused, attempt)

    def on_open(self, subscriber: Subscriber) -> None:
        """Notify all links of a session that has got its WELCOME."""
        self._sessions.on_open(subscriber)
        for link in self._links:
            link.on_open(subscriber)

    def on_identity(self, subscriber: Subscriber, before: Identity) -> None:
        """Notify all links of a session that has another identity, or a renewed one."""
        for link in self._links:
            link.on_identity(subscriber, before)

    def on_lost(self, subscriber: Subscriber) -> None:
        """Cancel what runs for a session that has ended, then notify all links."""
        self._cancel(subscriber)
        self._sessions.on_lost(subscriber)
        for link in self._links:
            link.on_lost(subscriber)

    # Requests of clients.

    def subscribing(self, subscriber: Subscriber, request: Subscribe, decide: Decide) -> None:
        """Decide about a subscription."""
        self._decide_subscription(0, subscriber, request, decide, PASS)

    def publishing(self, subscriber: Subscriber, request: Publish, decide: Decide) -> None:
        """Decide about a publication."""
        self._decide_publication(0, subscriber, request, None, decide, PASS)

    def call(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """Answer a call of a procedure that a link has."""
        link = next(link for link in self._links if link.has_procedure(call.procedure))
        link.call(subscriber, call, reply)

    def act(self, subscriber: Subscriber, request: Publish, done: Callable[[], None]) -> None:
        """Run an action that a link has."""
        link = next(link for link in self._links if link.has_action(request.topic))
        link.act(subscriber, request, done)

    # One link after the other.

    async def _connecting(self, attempt: ConnectAttempt) -> None:
        for link in self._connecting_links:
            await link.connecting(attempt)

    def _on_connect_refused(self, failure: Failure, attempt: ConnectAttempt) -> Failure:
        self._sessions.on_connect_refused(attempt)
        return failure

    def _decide_subscription(
        self,
        number: int,
        subscriber: Subscriber,
        request: Subscribe,
        decide: Decide,
        verdict: Verdict,
    ) -> None:
        """Let the links from this number on decide.

        :param verdict: of the link before.
        """
        if verdict.refusal is not None or number == len(self._subscribing_links):
            decide(verdict)
            return
        then = partial(self._decide_subscription, number + 1, subscriber, request, decide)
        self._subscribing_links[number].subscribing(subscriber, request, then)

    def _decide_publication(
        self,
        number: int,
        subscriber: Subscriber,
        request: Publish,
        rewritten: bytes | None,
        decide: Decide,
        verdict: Verdict,
    ) -> None:
        """Let the links from this number on decide.

        :param rewritten: the payload as rewritten so far; None for that of the client.
        :param verdict: of the link before.
        """
        if verdict.refusal is not None:
            decide(verdict)
            return
        if verdict.payload is not None:
            rewritten = verdict.payload
            request = replace(request, event=rewritten)
        if number == len(self._publishing_links):
            decide(Verdict(payload=rewritten))
            return
        then = partial(self._decide_publication, number + 1, subscriber, request, rewritten, decide)
        self._publishing_links[number].publishing(subscriber, request, then)
