"""The checks of a client's request, before it takes effect.

Owns: the limits of a session, and the order in which a request is judged by form, permissions and
room. Must not import: Twisted, the edges, the apps.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Final

from wampush.broker.access.permissions import AUTHENTICATION_PROCEDURES
from wampush.broker.broker import Broker
from wampush.broker.identity import AWAITING
from wampush.broker.pending import PendingRequests
from wampush.broker.requests.application import Application
from wampush.broker.subscriber import Subscriber
from wampush.choices import Action
from wampush.errors import MessageRefused, Refusal
from wampush.excerpts import shown
from wampush.topics import is_reserved
from wampush.wamp.messages import Call, Publish, Subscribe
from wampush.wamp.session import Request
from wampush.wamp.uris import PRESENCE_CHANGES

# Read for each request; reading a member from its enumeration takes as long as a call.
_SUBSCRIBE: Final = Action.SUBSCRIBE
_PUBLISH: Final = Action.PUBLISH


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLimits:
    """What one session may ask for.

    :param topic_bytes: the longest topic that a client may name, in bytes of UTF-8.
    :param subscriptions: that one session may have.
    :param topics: that may have subscribers, in all.
    :param pending: requests of one session that may wait for the application.
    :param pending_bytes: of text that these may have together; one alone may be longer.
    """

    topic_bytes: int
    subscriptions: int
    topics: int
    pending: int
    pending_bytes: int


class RequestChecks:
    """Decides whether a session may do what it asks for.

    :param broker: its policy and its indexes are asked.
    :param limits: of one session.
    :param application: has actions, and may judge subscriptions; None when there is none.
    :param reserved: topics on which only the application may publish.
    """

    def __init__(
        self,
        broker: Broker,
        limits: RequestLimits,
        application: Application | None = None,
        reserved: Container[str] = (),
    ) -> None:
        self._broker = broker
        self._limits = limits
        self._application = application
        self._reserved = reserved

    def check(self, subscriber: Subscriber, request: Request, size: int) -> None:
        """Check a request.

        :param size: of the whole message, in bytes.
        :raises MessageRefused: with the reason.
        """
        if isinstance(request, Subscribe):
            self._check_subscribe(subscriber, request)
        elif isinstance(request, Publish):
            self._check_publish(subscriber, request)
        elif isinstance(request, Call):
            self._permit(subscriber, Action.CALL, request.procedure, size)

    @staticmethod
    def check_authenticated(subscriber: Subscriber, request: Request) -> None:
        """Check that a session that has to authenticate first does nothing else.

        :raises MessageRefused: NOT_AUTHENTICATED.
        """
        if subscriber.identity.source != AWAITING:
            return
        if isinstance(request, Call) and request.procedure in AUTHENTICATION_PROCEDURES:
            return
        raise MessageRefused(Refusal.NOT_AUTHENTICATED)

    def check_room(self, subscriber: Subscriber, topic: str) -> None:
        """Check that a session may have one more subscription, and the node one more topic.

        :raises MessageRefused: TOO_MANY_SUBSCRIPTIONS, TOO_MANY_TOPICS.
        """
        limits, subscriptions = self._limits, self._broker.subscriptions
        topics, most = subscriber.topics, limits.subscriptions
        # Automatic topics do not use up the room of requested ones.
        is_full = len(topics) >= most and self._broker.requested_count(subscriber) >= most
        if is_full and topic not in topics:
            raise MessageRefused(Refusal.TOO_MANY_SUBSCRIPTIONS, f"{most} are allowed.")
        if subscriptions.topic_count >= limits.topics and not subscriptions.subscribers(topic):
            raise MessageRefused(Refusal.TOO_MANY_TOPICS, f"{limits.topics} are allowed.")

    def check_pending(self, pending: PendingRequests, size: int, *, reads: bool = False) -> None:
        """Check that one more request of a session may wait.

        :param size: of its text, in bytes.
        :param reads: whether it only waits until its topic is read; then as many may wait as
            there may be subscriptions, because pages return to all their topics at once.
        :raises MessageRefused: TOO_MANY_PENDING.
        """
        limits = self._limits
        most = limits.subscriptions if reads else limits.pending
        count = pending.reads if reads else len(pending) - pending.reads
        if count >= most:
            raise MessageRefused(Refusal.TOO_MANY_PENDING, f"{most} are allowed.")
        total = pending.size + size
        if len(pending) and total > limits.pending_bytes:
            detail = f"{total} bytes in all, {limits.pending_bytes} allowed."
            raise MessageRefused(Refusal.TOO_MANY_PENDING, detail)

    def may_learn(self, subscriber: Subscriber, topic: str) -> bool:
        """Return whether a session may know who is on a topic: whether it may subscribe to it.

        If the application decides that, it has done so once the session is subscribed.
        """
        application = self._application
        judged = application is not None and application.judges_subscribing
        if judged and topic not in self._broker.subscriptions.topics(subscriber):
            return False
        return self._broker.policy.may_subscribe(subscriber.identity, topic)

    def _check_subscribe(self, subscriber: Subscriber, request: Subscribe) -> None:
        self._check_topic(request.topic)
        if request.topic in self._broker.subscriptions.topics(subscriber):
            # Pages also subscribe to automatic topics, for which no permission is needed.
            return
        self._permit(subscriber, _SUBSCRIBE, request.topic, 0)
        self.check_room(subscriber, request.topic)
        presence = self._broker.presence
        if presence is not None and request.topic.startswith(PRESENCE_CHANGES):
            topic = request.topic.removeprefix(PRESENCE_CHANGES)
            if not presence.is_on(topic):
                raise MessageRefused(Refusal.PRESENCE_OFF, f"It is {shown(topic)}.")

    def _check_publish(self, subscriber: Subscriber, request: Publish) -> None:
        topic, size = request.topic, len(request.event)
        self._check_topic(topic)
        if self._application is not None and self._application.has_action(topic):
            # An action runs code of the server, as a call does; no other client gets it.
            self._permit(subscriber, Action.CALL, topic, size)
            return
        if is_reserved(topic) or topic in self._reserved:
            raise MessageRefused(Refusal.CLIENT_TOPIC_RESERVED, f"It is {shown(topic)}.")
        self._permit(subscriber, _PUBLISH, topic, size)

    def _check_topic(self, topic: str) -> None:
        if not topic:
            raise MessageRefused(Refusal.CLIENT_TOPIC_EMPTY)
        most = self._limits.topic_bytes
        # A character takes at most four bytes, so most topics need no encoding to be measured.
        if len(topic) * 4 > most and len(topic.encode()) > most:
            raise MessageRefused(
                Refusal.CLIENT_TOPIC_TOO_LONG, f"{len(topic.encode())} bytes, {most} allowed."
            )

    def _permit(self, subscriber: Subscriber, action: Action, topic: str, size: int) -> None:
        policy, identity = self._broker.policy, subscriber.identity
        decision = policy.decide(identity, action, topic, size, is_local=subscriber.is_local)
        if decision.per_second and decision.allowed:
            if subscriber.buckets is None:
                subscriber.buckets = {}
            decision = policy.spend(decision, subscriber.buckets)
        if decision.refusal is None:
            return
        what = "Procedure or action" if action is Action.CALL else "Topic"
        is_about_user = action is not Action.PUBLISH or decision.rule is not None
        user = f", user {shown(identity.user)}" if is_about_user else ""
        raise MessageRefused(decision.refusal, f"{what} {shown(topic)}{user}: {decision.why}.")
