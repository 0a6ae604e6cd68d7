"""What application code may decide and learn, as the broker asks it.

Owns: the protocol between the broker and application code.
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
"""Takes the verdict; to be called exactly once, also after the session is lost."""

Reply = Callable[[bytes], None]
"""Takes the text of a CALLRESULT or CALLERROR; to be called exactly once, also after the session is
lost, when it does nothing."""


class Application(Protocol):
    """Application code. Nothing here raises; what goes wrong in it is an answer like others."""

    @property
    def judges_subscribing(self) -> bool:
        """Whether :meth:`subscribing` has to be asked."""

    @property
    def judges_publishing(self) -> bool:
        """Whether :meth:`publishing` has to be asked."""

    def has_procedure(self, uri: str) -> bool:
        """Whether :meth:`call` answers calls of this URI."""

    def has_action(self, topic: str) -> bool:
        """Whether what clients publish on this topic goes to :meth:`act` and to nobody else."""

    def on_open(self, subscriber: Subscriber) -> None:
        """A session has got its WELCOME."""

    def on_identity(self, subscriber: Subscriber, before: Identity) -> None:
        """A session has become somebody else, or the same with a fresh proof."""

    def subscribing(self, subscriber: Subscriber, request: Subscribe, decide: Decide) -> None:
        """A client that may subscribe wants to."""

    def publishing(self, subscriber: Subscriber, request: Publish, decide: Decide) -> None:
        """A client that may publish wants to."""

    def call(self, subscriber: Subscriber, call: Call, reply: Reply) -> None:
        """A client that may call a procedure does."""

    def act(self, subscriber: Subscriber, request: Publish, done: Callable[[], None]) -> None:
        """A client has sent an action.

        :param done: to be called once it is dealt with, exactly once.
        """

    def on_lost(self, subscriber: Subscriber) -> None:
        """A session has ended; the indexes do not know it any more."""
