"""The use cases: open, subscribe, unsubscribe, call, publish, deliver, lost.

Owns: the one path from a publication to its receivers. Must not import: Twisted, the edges.

Whatever publishes (ZeroMQ, a client) calls :meth:`Broker.publish`; it alone calls
:meth:`Broker.deliver`. The hub is changed here only, and each change settles the fan-out first,
because the fan-out may hold a live set of the hub.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from wampush.broker.fanout import Fanout
from wampush.broker.hub import Hub
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.ledger import Ledger, Source
from wampush.broker.permissions import Action, Permissions
from wampush.broker.policy import Policy
from wampush.broker.procedures import ERROR_NOT_AUTHENTICATED, Procedures, answer
from wampush.broker.publication import EVERYONE, Audience, Publication
from wampush.broker.subscriber import Subscriber
from wampush.errors import MessageRefused, Refusal, shown
from wampush.wamp.codec import event_text
from wampush.wamp.messages import Call, Publish, Subscribe, Unsubscribe
from wampush.wamp.session import Request
from wampush.wamp.uris import ERROR_FORBIDDEN, ERROR_NO_SUCH_PROCEDURE


class Broker:
    """Connects publishers and subscribers.

    :param hub: the indexes.
    :param fanout: the way to the outboxes.
    :param policy: who may do what.
    :param ledger: what became of every input.
    :param topic_bytes: the longest topic that a client may name, in bytes of UTF-8.
    :param most_subscriptions: subscriptions that one session may have.
    :param most_topics: topics that may have subscribers, in all.
    """

    def __init__(
        self,
        hub: Hub[Subscriber],
        fanout: Fanout,
        policy: Policy,
        ledger: Ledger,
        topic_bytes: int,
        most_subscriptions: int = 1000,
        most_topics: int = 1_000_000,
    ) -> None:
        self.hub: Final = hub
        self.fanout: Final = fanout
        self.policy = policy
        self.ledger: Final = ledger
        self.sessions: Final[dict[str, Subscriber]] = {}
        #: What the broker answers itself, by URI; no permission is needed to call these.
        self.procedures: Procedures = {}
        self._topic_bytes = topic_bytes
        self._most_subscriptions = most_subscriptions
        self._most_topics = most_topics
        self._handlers: Mapping[type, Callable[[Subscriber, Any, int], None]] = {
            Subscribe: self._subscribe,
            Unsubscribe: self._unsubscribe,
            Publish: self._client_publish,
            Call: self._call,
        }

    def opened(self, subscriber: Subscriber) -> None:
        """A session begins: it is known by its id and gets WELCOME."""
        self.sessions[subscriber.session_id] = subscriber
        self.fanout.reply(subscriber.outbox, subscriber.session.welcome())

    def received(self, subscriber: Subscriber, text: bytes) -> None:
        """A client sent a text frame. Whatever is in it, nothing is raised.

        :param text: the frame's payload.
        """
        try:
            request = subscriber.session.receive(text)
            if request is not None:
                self.carry_out(subscriber, request, len(text))
        except MessageRefused as error:
            self.refused(subscriber, error, text)
        else:
            self.ledger.accept(Source.CLIENT)

    def carry_out(self, subscriber: Subscriber, request: Request, size: int) -> None:
        """Do what a client asks for.

        :param size: bytes of the whole message.
        :raises MessageRefused: when it may not, or the topic is unusable.
        """
        if subscriber.identity.source == AWAITING:
            self._check_authenticating(subscriber, request)
        self._handlers[type(request)](subscriber, request, size)

    def refused(self, subscriber: Subscriber, error: MessageRefused, raw: bytes) -> None:
        """Count a client's input that was not carried out."""
        self.ledger.refuse(Source.CLIENT, self.origin_of(subscriber), error, raw)

    @staticmethod
    def origin_of(subscriber: Subscriber) -> str:
        """How refusals name a client."""
        return f"session {subscriber.session_id}"

    def publish(self, publication: Publication) -> int:
        """Publish on behalf of anybody who may.

        :returns: how many receivers it was queued for.
        """
        return self.deliver(publication)

    def deliver(self, publication: Publication) -> int:
        """Queue a publication for its receivers on this node.

        :returns: how many there are.
        """
        topic = publication.topic
        receivers: Collection[Subscriber] = self.hub.subscribers(topic)
        if publication.audience is not EVERYONE and receivers:
            receivers = self._select(publication.audience, receivers)
        if receivers:
            self.fanout.deliver(
                topic,
                event_text(topic, publication.payload),
                receivers,
                self.policy.slow_client(topic),
            )
        return len(receivers)

    def review(self, subscriber: Subscriber) -> None:
        """It has become somebody else: end the subscriptions that this one may not have.

        They end silently, because WAMP v1 has no message for it.
        """
        permissions = self.policy.permissions
        if permissions is None:
            return
        identity = subscriber.identity
        lapsed = [
            topic
            for topic in self.hub.topics(subscriber)
            if not permissions.decide(identity, Action.SUBSCRIBE, topic).allowed
        ]
        if lapsed:
            self.fanout.settle()
        for topic in lapsed:
            self.hub.discard(subscriber, topic)

    def effective_permissions(self, identity: Identity) -> object:
        """What somebody may do, as WAMP-CRA tells it."""
        return self.policy.effective(identity)

    def lost(self, subscriber: Subscriber) -> None:
        """A session ended: indexes are cleared and its queue is freed."""
        self.fanout.settle()
        self.hub.drop(subscriber)
        self.sessions.pop(subscriber.session_id, None)
        subscriber.outbox.close()

    def _select(
        self, audience: Audience, receivers: Collection[Subscriber]
    ) -> Collection[Subscriber]:
        exclude = audience.exclude
        if audience.eligible is None:
            known = [self.sessions[each] for each in exclude if each in self.sessions]
            if not any(each in receivers for each in known):
                return receivers
            return [each for each in receivers if each.session_id not in exclude]
        named = (self.sessions.get(each) for each in audience.eligible - exclude)
        return [each for each in named if each is not None and each in receivers]

    def _check_topic(self, topic: str) -> None:
        if not topic:
            raise MessageRefused(Refusal.CLIENT_TOPIC_EMPTY)
        if len(topic) * 4 > self._topic_bytes and len(topic.encode()) > self._topic_bytes:
            raise MessageRefused(
                Refusal.CLIENT_TOPIC_TOO_LONG,
                f"{len(topic.encode())} bytes, {self._topic_bytes} allowed.",
            )

    def _check_room(self, subscriber: Subscriber, topic: str) -> None:
        topics = self.hub.topics(subscriber)
        if len(topics) >= self._most_subscriptions and topic not in topics:
            raise MessageRefused(
                Refusal.TOO_MANY_SUBSCRIPTIONS, f"{self._most_subscriptions} are allowed."
            )
        if self.hub.topic_count >= self._most_topics and not self.hub.subscribers(topic):
            raise MessageRefused(Refusal.TOO_MANY_TOPICS, f"{self._most_topics} are allowed.")

    @staticmethod
    def _permit(
        permissions: Permissions, subscriber: Subscriber, action: Action, topic: str, size: int
    ) -> None:
        decision = permissions.decide(subscriber.identity, action, topic, size)
        if decision.per_second and decision.allowed:
            if subscriber.buckets is None:
                subscriber.buckets = {}
            decision = permissions.spend(decision, subscriber.buckets)
        if decision.refusal is not None:
            user = shown(subscriber.identity.user)
            detail = f"Topic {shown(topic)}, user {user}: {decision.why}."
            raise MessageRefused(decision.refusal, detail)

    def _subscribe(self, subscriber: Subscriber, request: Subscribe, _: int) -> None:
        self._check_topic(request.topic)
        if self.policy.permissions is not None:
            self._permit(self.policy.permissions, subscriber, Action.SUBSCRIBE, request.topic, 0)
        self._check_room(subscriber, request.topic)
        self.fanout.settle()
        self.hub.add(subscriber, request.topic)

    def _unsubscribe(self, subscriber: Subscriber, request: Unsubscribe, _: int) -> None:
        self.fanout.settle()
        self.hub.discard(subscriber, request.topic)

    def _client_publish(self, subscriber: Subscriber, request: Publish, _: int) -> None:
        self._check_topic(request.topic)
        permissions = self.policy.permissions
        if permissions is not None:
            size = len(request.event)
            self._permit(permissions, subscriber, Action.PUBLISH, request.topic, size)
        elif not self.policy.clients_publish:
            raise MessageRefused(Refusal.PUBLISH_FORBIDDEN, f"Topic {request.topic[:80]!r}.")
        if request.exclude is not None:
            exclude = frozenset(request.exclude)
        else:
            exclude = frozenset((subscriber.session_id,) if request.exclude_me else ())
        eligible = None if request.eligible is None else frozenset(request.eligible)
        everyone = not exclude and eligible is None
        audience = EVERYONE if everyone else Audience(exclude, eligible)
        self.publish(Publication(request.topic, request.event, audience))

    def _check_authenticating(self, subscriber: Subscriber, request: Request) -> None:
        if isinstance(request, Call):
            if request.procedure in self.procedures:
                return
            text = subscriber.session.call_error(
                request.call_id, ERROR_NOT_AUTHENTICATED, "call authreq and auth first"
            )
            self.fanout.reply(subscriber.outbox, text)
        raise MessageRefused(Refusal.NOT_AUTHENTICATED)

    def _call(self, subscriber: Subscriber, request: Call, size: int) -> None:
        if self.policy.permissions is not None:
            self._permit_call(self.policy.permissions, subscriber, request, size)
        procedure = self.procedures.get(request.procedure)
        if procedure is not None:
            before = subscriber.identity
            text = answer(procedure, subscriber, request)
            if subscriber.identity is not before:
                self.review(subscriber)
            self.fanout.reply(subscriber.outbox, text)
            return
        text = subscriber.session.call_error(
            request.call_id,
            ERROR_NO_SUCH_PROCEDURE,
            f"no procedure is registered under {request.procedure[:200]!r}",
        )
        self.fanout.reply(subscriber.outbox, text)

    def _permit_call(
        self, permissions: Permissions, subscriber: Subscriber, request: Call, size: int
    ) -> None:
        try:
            self._permit(permissions, subscriber, Action.CALL, request.procedure, size)
        except MessageRefused as error:
            text = subscriber.session.call_error(
                request.call_id,
                ERROR_FORBIDDEN,
                error.refusal.sentence,
                {"reason": error.refusal.code},
            )
            self.fanout.reply(subscriber.outbox, text)
            raise
