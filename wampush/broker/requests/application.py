"""The application, as the broker asks it.

Owns: the protocol between the broker and applications, what they decide and what they learn.
Must not import: Twisted, the edges, the apps. Answers come by callback, at once or later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from wampush.broker.pending import Verdict

if TYPE_CHECKING:
    from wampush.broker.identity import Identity
    from wampush.broker.subscriber import Subscriber
    from wampush.wamp.messages import Call, Publish, Subscribe


Decide = Callable[[Verdict], None]
"""Takes the verdict; must be called exactly once, even after the session is lost."""

Reply = Callable[[bytes], None]
"""Takes the text of a result or an error; must be called exactly once, even after the session is
lost, when it does nothing."""


class Application(Protocol):
    """An application. Its methods do not raise; an error in it is an answer like any other."""

    @property
    def judges_subscribing(self) -> bool:
        """Whether :meth:`subscribing` must be asked."""

    @property
    def judges_publishing(self) -> bool:
        """Whether :meth:`publishing` must be asked."""

    def has_procedure(self, uri: str) -> bool:
        """Return whether :meth:`call` answers calls of this URI."""

    def has_action(self, topic: str) -> bool:
        """Return whether a PUBLISH on this topic is an action, which only :meth:`act` gets."""

    def on_open(self, subscriber: Subscriber) -> None:
        """Learn that a session has got its WELCOME."""

    def on_identity(self, subscriber: Subscriber, before: Identity) -> None:
        """Learn that a session has another identity, or the same with fresh credentials."""

    def subscribing(self, subscriber: Subscriber, request: Subscribe, decide: Decide) -> None:
        """Decide about a subscription that the permissions allow."""

    def publishing(self, subscriber: Subscriber, request: Publish, decide: Decide) -> None:
        """Decide about a publication that the permissions allow."""

    def call(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """Answer a call that the permissions allow."""

    def act(self, subscriber: Subscriber, request: Publish, done: Callable[[], None]) -> None:
        """Carry out an action that the permissions allow.

        :param done: must be called exactly once, when the action has ended.
        """

    def on_lost(self, subscriber: Subscriber) -> None:
        """Learn that a session has ended; the indexes no longer contain it."""
