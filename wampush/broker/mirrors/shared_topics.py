"""The topics with history of a node that shares them with others (``KeptTopics``).

Owns: how publications, mirrors and what the link brings fit together.
Must not import: Twisted, the edges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from wampush.broker.backplane.contract import Accepted, OnOutcome
from wampush.broker.backplane.node_message import NodeMessage
from wampush.broker.ledger import Ledger, Source
from wampush.broker.mirrors.contract import Place, SharedStore, Stored
from wampush.broker.mirrors.mirror import Arrival
from wampush.broker.mirrors.mirrors import Mirrors
from wampush.broker.mirrors.plain_parts import PlainParts
from wampush.broker.mirrors.publishing import StorePublishing
from wampush.broker.mirrors.top_check import TopCheck
from wampush.broker.publication import Position, Publication
from wampush.broker.router import Router
from wampush.errors import PublicationRefused, PushRefused, Refusal
from wampush.excerpts import shown


class SharedTopics:
    """Publishes to topics with history, and delivers what others have published to them.

    :param store: keeps topics for all nodes.
    :param mirrors: have what this node follows.
    :param publishing: takes publications to the store.
    :param top_check: finds what a silent link has lost.
    :param plain_parts: sees to topics without history of publications that go to the store.
    :param router: counts receivers.
    :param ledger: counts messages that cannot be.
    """

    def __init__(
        self,
        store: SharedStore,
        mirrors: Mirrors,
        *,
        publishing: StorePublishing,
        top_check: TopCheck,
        plain_parts: PlainParts,
        router: Router,
        ledger: Ledger,
    ) -> None:
        self._store = store
        self.mirrors: Final = mirrors
        self._rules: Final = mirrors.rules
        self.publishing: Final = publishing
        self.top_check: Final = top_check
        self.plain_parts: Final = plain_parts
        self._router = router
        self._ledger = ledger

    def takes(self, topic: str) -> bool:
        """Return whether a topic has a history."""
        return self._rules.of(topic) is not None

    def publish(
        self, publication: Publication, on_done: OnOutcome, *, is_awaited: bool = False
    ) -> None:
        """Publish to topics of which one at least has a history, all at once or not at all.

        :param on_done: called once, after this call.
        :param is_awaited: whether its publisher waits for the outcome.
        :raises PublicationRefused: it is not taken; ``on_done`` is not called.
        """

        def on_stored(outcome: Stored | PublicationRefused) -> None:
            if isinstance(outcome, PublicationRefused):
                on_done(outcome)
            else:
                on_done(self._accepted(publication, outcome))

        self.publishing.publish(publication, on_stored, is_awaited=is_awaited)

    def on_message(self, topic: str, message: NodeMessage) -> None:
        """Take what a node has published to a topic with history, this one included."""
        position, time = message.position, message.time
        if position is None or time is None or not message.run:
            detail = (
                f"{shown(topic)} has a history here, and none at node {shown(message.node)}: "
                "all nodes need the same [[topics]]."
            )
            error = PushRefused(Refusal.NODE_FORM, detail)
            self._ledger.refuse(Source.BACKPLANE, f"topic {shown(topic)}", error, message.payload)
            return
        publication = Publication(topic, message.payload, message.audience, position)
        self.mirrors.on_arrival(Arrival(publication, position, time, message.run))

    def on_plain_message(
        self, topic: str, message: NodeMessage, deliver: Callable[[str, NodeMessage], object]
    ) -> bool:
        """Take note of a message to a topic without history.

        :param deliver: takes it later, if it has to wait.
        :returns: whether it is to be delivered now.
        """
        return self.plain_parts.on_message(topic, message, deliver)

    def is_waiting(self, topic: str) -> bool:
        """Return whether messages to a topic without history wait for what comes before them."""
        return topic in self.plain_parts.waiting

    def give_way(self) -> None:
        """Let no message wait that has come until now to a topic without history."""
        self.plain_parts.give_way()

    def look(self) -> None:
        """Forget what will not come back; call it every few seconds."""
        self.plain_parts.look()

    def on_joined(self) -> None:
        """Go on: publications that wait are sent, once it is known which of them need not be."""
        self.plain_parts.on_joined(self.publishing.on_joined)
        self.top_check.start()

    def deliver_plain(self) -> None:
        """Deliver what the store has sent to topics without history; the link is lost."""
        self.plain_parts.on_left()

    def on_left(self, problem: str) -> None:
        """Take note that the store is away."""
        self._store.on_left()
        self.mirrors.on_left(problem)

    def flush(self) -> None:
        """Do nothing: what the store has not confirmed cannot be delivered."""

    def stop(self) -> None:
        """Refuse what has no outcome, and take no more."""
        self.top_check.stop()
        self.publishing.stop()

    def _accepted(self, publication: Publication, stored: Stored) -> Accepted:
        receivers, positions, is_heard_elsewhere = 0, [], False
        parts = list(publication.by_topic())
        places: Sequence[Place | None] = stored.places or [None] * len(parts)
        for part, place in zip(parts, places, strict=True):
            receivers += self._receivers(part, None if stored.is_repeated else place)
            if place is not None:
                positions.append((part.topic, place.position))
                is_here = self.mirrors.known(part.topic) is not None
                is_heard_elsewhere |= place.nodes > int(is_here)
        heard = None if not receivers and is_heard_elsewhere else receivers
        return Accepted(heard, positions, stored.is_repeated)

    def _receivers(self, part: Publication, place: Place | None) -> int:
        """Return how many sessions of this node get a part; deliver it if it is the next one."""
        delivered = None
        if place is not None and place.run:
            position: Position = place.position
            publication = Publication(part.topic, part.payload, part.audience, position)
            arrival = Arrival(publication, position, place.time, place.run)
            delivered = self.mirrors.on_arrival(arrival)
        return self._router.count_receivers(part) if delivered is None else delivered
