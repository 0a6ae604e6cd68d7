"""The handler of an app that gives the keys of WAMP-CRA.

Owns: how it is run. Must not import: the edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wampush.apps.python import conversions

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.python.failure import Failure

    from wampush.apps.python.context_factory import Contexts
    from wampush.apps.python.handlers import Handler
    from wampush.apps.python.replies import Replies
    from wampush.apps.python.runner import Outcome, Runner
    from wampush.broker.subscriber import Subscriber


class KeyHandler:
    """Asks an app for keys.

    :param handler: what the app has registered as ``cra_key``.
    :param contexts: creates its contexts.
    :param runner: runs it.
    :param replies: logs its errors.
    """

    def __init__(
        self, handler: Handler, contexts: Contexts, runner: Runner, replies: Replies
    ) -> None:
        self._handler = handler
        self._contexts = contexts
        self._runner = runner
        self._replies = replies

    def find(self, subscriber: Subscriber, name: str) -> Deferred[Outcome]:
        """Ask for the key of a name.

        :returns: fires with an outcome whose value is a CraKey, or None for no such key.
        """
        return self._runner.ask(
            self._handler,
            (self._contexts.of(subscriber), name),
            owner=subscriber,
            convert=conversions.as_key,
        )

    def incident(self, subscriber: Subscriber, failure: Failure) -> str:
        """Log what the handler raised, and return the description that clients may see."""
        session = self._contexts.of(subscriber).session
        return self._replies.incident(self._handler, session, failure)
