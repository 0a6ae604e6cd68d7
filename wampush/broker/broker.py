"""The sessions of a node: how they open, subscribe and end.

Owns: every change of their subscriptions. Must not import: Twisted, the edges.

Whatever publishes (a backend, a client) calls :meth:`Broker.publish`. Each change of a subscription
ends the fan-out's batch first, because the batch may hold a live set of the index. What clients may
ask for is the business of ``requests``, another identity that of ``identity_change``.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final, Protocol

from wampush.broker.access.auto_subscribe import AutoSubscribe
from wampush.broker.access.policy import Policy
from wampush.broker.backplane.contract import Accepted, OnOutcome
from wampush.broker.backplane.interest import Interest
from wampush.broker.history.gaps import GapReplays
from wampush.broker.history.replays import Recovery, Replays
from wampush.broker.identity import ANONYMOUS, Identity
from wampush.broker.ledger import Ledger, Source
from wampush.broker.memory import UNLIMITED, Memory
from wampush.broker.memory_costs import subscription_bytes
from wampush.broker.mirrors.mirrors import Mirrors
from wampush.broker.nodes.registry import Nodes
from wampush.broker.occupancy import Occupancy
from wampush.broker.presence.presence import Presence
from wampush.broker.publication import Position, Publication
from wampush.broker.router import Router
from wampush.broker.subscriber import Subscriber
from wampush.broker.unreceived_pushes import UnreceivedPushes
from wampush.errors import CloseReason, MessageRefused, PublicationRefused
from wampush.excerpts import shown

Elsewhere = Callable[[Source | None, Publication], None]
"""Takes a publication that is not published here; None as source means that it is no push."""

OnDone = Callable[[int | Accepted | PublicationRefused], None]
"""Gets the number of receivers on this node, or why nobody got the publication."""


class IndirectPublishing(Protocol):
    """A way of publications that takes longer than a call: through a database, or over all nodes.

    What it has taken comes back through the router, see :class:`Router`.
    """

    def takes(self, publication: Publication) -> bool:
        """Return whether a publication goes this way."""

    def publish(
        self, publication: Publication, on_done: OnOutcome, *, is_awaited: bool = False
    ) -> None:
        """Take a publication.

        :param on_done: called once, after this call.
        :param is_awaited: whether its publisher waits for the outcome.
        :raises PublicationRefused: it is not taken; ``on_done`` is not called.
        """

    def flush(self) -> None:
        """Deliver what can be delivered; for the end of the process."""

    def stop(self) -> None:
        """Deliver or refuse everything that is under way, and take no more; may come again."""


class Broker:
    """Connects publishers and subscribers.

    :param router: the indexes, and the way of publications to their receivers.
    :param ledger: counts what becomes of every input.
    :param presence: learns of sessions and subscriptions after the indexes; None without presence.
    :param automatic: the topics that sessions get without asking; None when there are none.
    :param memory: what sessions make the node keep; None for no limits.
    :param occupancy: learns of first and last subscribers of topics; None for nobody.
    :param replays: queue what topics keep for sessions; None when no topic has a history.
    :param indirect: takes publications that are stored first, or go to all nodes; None when they
        are all delivered at once.
    :param interest: follows the topics of this node's subscribers; None for a single node.
    :param gaps: continue where earlier sessions of a user were; None when no topic has that.
    :param mirrors: follow topics with history that several nodes share; None for a single node.
    :param nodes: the other nodes; None for a single node.
    """

    def __init__(
        self,
        router: Router,
        ledger: Ledger,
        presence: Presence | None = None,
        automatic: AutoSubscribe | None = None,
        *,
        memory: Memory | None = None,
        occupancy: Occupancy | None = None,
        replays: Replays | None = None,
        indirect: IndirectPublishing | None = None,
        interest: Interest | None = None,
        gaps: GapReplays | None = None,
        mirrors: Mirrors | None = None,
        nodes: Nodes | None = None,
    ) -> None:
        self._router = router
        self.ledger: Final = ledger
        self.presence: Final = presence
        self.automatic: Final = automatic
        self.memory: Final = Memory(UNLIMITED) if memory is None else memory
        self.occupancy: Final = occupancy
        self.replays: Final = replays
        self.indirect: Final = indirect
        self.interest: Final = interest
        self.gaps: Final = gaps
        self.mirrors: Final = mirrors
        self.nodes: Final = nodes
        self.subscriptions: Final = router.subscriptions
        self.fanout: Final = router.fanout
        self.sessions: Final = router.sessions
        self.users: Final = router.users
        self._unheard: Final = UnreceivedPushes(router.subscriptions, ledger)
        #: Takes publications while another process publishes; nobody here knows their positions.
        self.elsewhere: Elsewhere | None = None

    @property
    def policy(self) -> Policy:
        """The rules in force."""
        return self._router.policy

    @policy.setter
    def policy(self, policy: Policy) -> None:
        self._router.policy = policy

    # Publications.

    def publish(self, publication: Publication) -> int | None:
        """Publish on behalf of anyone who may.

        :returns: ``local_receivers``, how many sessions of this node it was queued for; None where
            it is stored or sent to all nodes first.
        :raises PublicationRefused: the history of a topic does not take it.
        """
        if self.elsewhere is not None:
            self.elsewhere(None, publication)
            return 0
        if self.indirect is not None and self.indirect.takes(publication):
            self.indirect.publish(publication, _nobody_waits)
            return None
        return self._router.publish(publication)

    def follow(self, publication: Publication) -> None:
        """Keep and deliver what another process has published, at the position that it has."""
        history, position = self._router.history, publication.position
        if self.mirrors is not None and self.mirrors.on_told(publication):
            return
        if history is not None and position is not None:
            publication = history.append_stored(publication, position, self.ledger.time())
        self._router.deliver(publication)

    def divert(self, elsewhere: Elsewhere | None) -> None:
        """Publish nothing from now on, because another process does, or this one later.

        Only :meth:`Router.deliver` still delivers. Nothing is counted as accepted here.

        :param elsewhere: gets each publication instead; None to publish here again.
        """
        self.elsewhere = elsewhere
        self._router.divert(None if elsewhere is None else partial(elsewhere, None))

    def push(
        self, source: Source, publication: Publication, on_done: OnDone | None = None
    ) -> int | None:
        """Publish on behalf of a backend and count its push as accepted.

        A push that is stored or sent to all nodes first is counted once its outcome is known.

        :param on_done: learns that outcome, after it was counted.
        :returns: as :meth:`publish`.
        :raises PublicationRefused: the history of a topic does not take it; it is not counted.
        """
        if self.elsewhere is not None:
            self.elsewhere(source, publication)
            return 0
        if self.indirect is not None and self.indirect.takes(publication):
            on_outcome = partial(self._on_outcome, source, publication, on_done)
            self.indirect.publish(publication, on_outcome, is_awaited=on_done is not None)
            return None
        receivers = self._router.publish(publication)
        self.ledger.accepted[source] += 1  # Without a call, because this runs for each push.
        if not receivers:
            self._unheard.note(source, publication.topic)
        return receivers

    def _on_outcome(
        self,
        source: Source,
        publication: Publication,
        on_done: OnDone | None,
        outcome: int | Accepted | PublicationRefused | None,
    ) -> None:
        if isinstance(outcome, PublicationRefused):
            origin = f"topic {shown(publication.topic)}"
            about = publication.topic
            self.ledger.refuse(source, origin, outcome, publication.payload, topic=about)
        else:
            self.ledger.accept(source)
            receivers = outcome.receivers if isinstance(outcome, Accepted) else outcome
            if receivers == 0:
                self._unheard.note(source, publication.topic)
        if on_done is not None:
            on_done(0 if outcome is None else outcome)

    def flush(self) -> None:
        """Deliver what is under way, as far as possible; for the end of the process."""
        if self.indirect is not None:
            self.indirect.flush()

    def stop(self) -> None:
        """Deliver or refuse what is under way, and take no more; may be called again."""
        if self.indirect is not None:
            self.indirect.stop()

    def watch(self, on_publication: Callable[[Publication], None]) -> Callable[[], None]:
        """Hand over each publication on this node from now on; see :meth:`Router.watch`."""
        return self._router.watch(on_publication)

    def send(self, subscriber: Subscriber, topic: str, payload: bytes) -> None:
        """Queue an event for one session, whether it is subscribed or not.

        :param payload: JSON text.
        """
        self._router.send(subscriber, topic, payload)

    # Sessions.

    def on_open(self, subscriber: Subscriber, *, automatic: bool = True) -> None:
        """Index a session by its id, send WELCOME, then add its automatic topics.

        :param automatic: whether it gets automatic topics.
        """
        self.sessions[subscriber.session_id] = subscriber
        self.ledger.sessions_opened += 1
        self.fanout.reply(subscriber.outbox, subscriber.session.welcome())
        identity = subscriber.identity
        if identity is not ANONYMOUS:
            self.users.update(subscriber)
        if self.presence is not None:
            self.presence.on_open(subscriber)
        if automatic and self.automatic is not None:
            if self.replays is not None:
                # Some clients read the response and WELCOME at once, and nothing after them.
                self.fanout.flush_one(subscriber.outbox)
            self.subscribe_automatically(subscriber, self.automatic.topics(identity))

    def subscribe(self, subscriber: Subscriber, topic: str) -> None:
        """Subscribe a session to a topic; subscribing twice is the same as once.

        A new subscriber gets what the topic keeps for new subscribers before any newer event.

        :raises MessageRefused: when the session, its address or all would keep too much memory.
        """
        if not self._add(subscriber, topic) or not self._is_known(subscriber, topic):
            return
        if self.gaps is not None:
            self.gaps.on_subscribe(subscriber, topic)
        elif self.replays is not None:
            self.replays.on_subscribe(subscriber, topic)

    def subscribe_since(
        self,
        subscriber: Subscriber,
        topic: str,
        since: Position,
        on_gap: Callable[[], None] = lambda: None,
    ) -> Recovery | None:
        """Subscribe a session to a topic, and queue what it has missed before any newer event.

        :param since: the position of the newest event that the session knows.
        :param on_gap: called before anything is queued, if the topic has a history and an event
            between is gone.
        :returns: None for a topic without history, and where that cannot be read now: then the
            session gets what the topic keeps for new subscribers as soon as it can.
        :raises MessageRefused: as :meth:`subscribe`.
        """
        self._add(subscriber, topic)
        if not self._is_known(subscriber, topic):
            return None
        if self.gaps is not None:
            self.gaps.on_subscribe_since(subscriber, topic, since)
        return (
            None if self.replays is None else self.replays.recover(subscriber, topic, since, on_gap)
        )

    def _is_known(self, subscriber: Subscriber, topic: str) -> bool:
        """Return whether a new subscriber can get now what the topic keeps, if anything."""
        return self.mirrors is None or self.mirrors.on_subscribe(subscriber, topic)

    def position(self, topic: str) -> Position | None:
        """Return the position of the newest event of a topic; None for one without history."""
        return None if self.replays is None else self.replays.history.position(topic)

    def sent_up_to(self, subscriber: Subscriber, topic: str) -> Position | None:
        """Return the position in a topic up to which a session has been sent everything.

        :returns: None for a topic without history, and where that is nothing yet.
        """
        return None if self.replays is None else self.replays.sent_up_to(subscriber, topic)

    def _add(self, subscriber: Subscriber, topic: str) -> bool:
        """Add a subscription; return whether it is new."""
        is_new = topic not in subscriber.topics
        if is_new:
            self.memory.admit(subscriber, self._subscription_bytes(topic))
        self.fanout.end_batch()
        is_first = self.subscriptions.add(subscriber, topic)
        if is_first:
            self._note_first(topic)
        if self.presence is not None:
            self.presence.on_subscribe(subscriber, topic, is_new)
        return is_new

    def _note_first(self, topic: str) -> None:
        if self.interest is not None:
            self.interest.on_first(topic)
        if self.occupancy is not None:
            self.occupancy.on_first(topic)

    def _note_last(self, topic: str) -> None:
        if self.interest is not None:
            self.interest.on_last(topic)
        if self.occupancy is not None:
            self.occupancy.on_last(topic)

    def _subscription_bytes(self, topic: str) -> int:
        more = 0 if self.gaps is None else self.gaps.bytes_of(topic)
        return subscription_bytes(topic) + more

    def unsubscribe(self, subscriber: Subscriber, topic: str) -> None:
        """End a subscription; does nothing when there is none."""
        if topic not in self.subscriptions.topics(subscriber):
            return
        self.fanout.end_batch()
        was_last = self.subscriptions.discard(subscriber, topic)
        if was_last:
            self._note_last(topic)
        subscriber.outbox.end_catch_up(topic)
        self.memory.release(subscriber, self._subscription_bytes(topic))
        if self.mirrors is not None:
            self.mirrors.on_unsubscribe(subscriber, topic)
        if self.gaps is not None:
            self.gaps.on_unsubscribe(subscriber, topic)
        if self.presence is not None:
            self.presence.on_unsubscribe(subscriber, topic)

    def on_lost(self, subscriber: Subscriber) -> None:
        """Remove a session that has ended from the indexes, and free its queue."""
        self.fanout.end_batch()
        # The index gives this set up as it is.
        user, topics = self.users.user_of(subscriber), self.subscriptions.topics(subscriber)
        vacated = self.subscriptions.remove(subscriber)
        for topic in vacated:
            self._note_last(topic)
        if self.mirrors is not None:
            for topic in topics:
                self.mirrors.on_unsubscribe(subscriber, topic)
        if self.gaps is not None:
            self.gaps.on_lost(subscriber)
        self.users.remove(subscriber)
        self.sessions.pop(subscriber.session_id, None)
        subscriber.outbox.close()
        self.memory.forget(subscriber)
        if self.presence is not None:
            self.presence.on_lost(user, topics)

    def permissions_for(self, subscriber: Subscriber, identity: Identity) -> object:
        """Return what a session may do with an identity, as the permissions object of WAMP-CRA."""
        return self.policy.effective(identity, subscriber.is_local)

    def requested_count(self, subscriber: Subscriber) -> int:
        """Return how many subscriptions a session has without the automatic ones."""
        topics = self.subscriptions.topics(subscriber)
        if self.automatic is None:
            return len(topics)
        return len(topics - self.automatic.topics(subscriber.identity))

    def subscribe_automatically(self, subscriber: Subscriber, topics: AbstractSet[str]) -> None:
        """Subscribe a session to its automatic topics, or end it if there is no memory for them.

        A page without its topics would be wrong without noticing.
        """
        try:
            for topic in topics:
                self.subscribe(subscriber, topic)
        except MessageRefused as error:
            if subscriber.peer is not None:
                subscriber.peer.end(CloseReason.MEMORY_LIMIT, error.refusal.code)


def _nobody_waits(_: int | Accepted | PublicationRefused | None) -> None:
    """Take the outcome of a client's PUBLISH, which has no answer; failures are logged."""
