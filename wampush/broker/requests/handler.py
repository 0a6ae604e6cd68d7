"""The clients' side: sessions open, ask for things, become somebody, and are lost.

Owns: what a client may ask for, the checks of it, and the order in which it takes effect.
Must not import: Twisted, the edges, the apps.

A request is checked when it arrives. If application code has a say in it, it takes effect once that
has spoken, and whatever the session asks for meanwhile waits behind it (see ``waiting``); events
for the session do not wait.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from wampush.broker.access.permissions import AUTHENTICATION_PROCEDURES
from wampush.broker.broker import Broker
from wampush.broker.identity import AWAITING, Identity
from wampush.broker.ledger import Source
from wampush.broker.pending import PASS, PendingRequest, PendingRequests, Verdict
from wampush.broker.publication import EVERYONE, Audience, Publication
from wampush.broker.requests.application import Application
from wampush.broker.requests.procedures import ERROR_NOT_AUTHENTICATED, Procedures, answer
from wampush.broker.subscriber import Subscriber
from wampush.choices import Action
from wampush.errors import MessageRefused, Refusal, shown
from wampush.topics import is_reserved
from wampush.wamp.messages import Call, Publish, Subscribe, Unsubscribe
from wampush.wamp.session import Request
from wampush.wamp.uris import (
    ERROR_FORBIDDEN,
    ERROR_NO_SUCH_PROCEDURE,
    PRESENCE_CHANGES,
)


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one session may ask for.

    :param topic_bytes: the longest topic that a client may name, in bytes of UTF-8.
    :param subscriptions: that one session may have.
    :param topics: that may have subscribers, in all.
    :param pending: requests of one session that may wait for application code.
    :param pending_bytes: of text that these may have together; one alone may be longer.
    """

    topic_bytes: int = 1024
    subscriptions: int = 1000
    topics: int = 1_000_000
    pending: int = 100
    pending_bytes: int = 262_144


class RequestHandler:
    """Carries out what clients ask for.

    :param broker: where it takes effect.
    :param limits: what one session may ask for.
    """

    def __init__(self, broker: Broker, limits: RequestLimits) -> None:
        self.broker: Final = broker
        self._limits = limits
        #: What is answered at once, by URI.
        self.procedures: Procedures = {}
        #: Topics that are the word of application code, so that no client may publish there.
        self.reserved: Container[str] = ()
        #: What has a say in the rest; None where nothing has.
        self.application: Application | None = None
        self._checks: Final[Mapping[type, Callable[[Subscriber, Any, int], None]]] = {
            Subscribe: self._check_subscribe,
            Publish: self._check_publish,
            Call: self._check_call,
        }
        self._effects: Final[Mapping[type, Callable[[Subscriber, Any, Verdict, int], None]]] = {
            Subscribe: self._subscribe,
            Unsubscribe: self._unsubscribe,
            Publish: self._publish,
            Call: self._call,
        }

    # Sessions.

    def on_open(self, subscriber: Subscriber) -> None:
        """A session begins: it is known by its id and gets WELCOME."""
        self.broker.on_open(subscriber)
        if self.application is not None:
            self.application.on_open(subscriber)

    def become(self, subscriber: Subscriber, identity: Identity) -> None:
        """Give a session another identity, or the same with fresh credentials.

        The indexes know it first, then presence, then the application.
        """
        before = subscriber.identity
        if self.broker.become(subscriber, identity) and self.application is not None:
            self.application.on_identity(subscriber, before)

    def on_lost(self, subscriber: Subscriber) -> None:
        """A session ended: the indexes are cleared, then application code hears of it."""
        self.broker.on_lost(subscriber)
        waiting, subscriber.waiting = subscriber.waiting, None
        if waiting is not None:
            for entry in waiting.entries:
                self.refused(subscriber, MessageRefused(Refusal.SESSION_ENDED), entry.text)
            waiting.entries.clear()
        if self.application is not None:
            self.application.on_lost(subscriber)

    def may_learn(self, subscriber: Subscriber, topic: str) -> bool:
        """Whether a session may know who is on a topic: whether it may have the topic itself.

        Where application code decides about that, it has done so once the session has subscribed.
        """
        permissions, application = self.broker.policy.permissions, self.application
        judged = application is not None and application.judges_subscribing
        if judged and topic not in self.broker.hub.topics(subscriber):
            return False
        return (
            permissions is None
            or permissions.decide(subscriber.identity, Action.SUBSCRIBE, topic).allowed
        )

    # Requests.

    def received(self, subscriber: Subscriber, text: bytes) -> None:
        """A client sent a text frame. Whatever is in it, nothing is raised.

        :param text: the frame's payload.
        """
        try:
            request = subscriber.session.receive(text)
            done = request is None or self.carry_out(subscriber, request, text)
        except MessageRefused as error:
            self.refused(subscriber, error, text)
        else:
            if done:
                self.broker.ledger.accept(Source.CLIENT)

    def carry_out(self, subscriber: Subscriber, request: Request, text: bytes) -> bool:
        """Do what a client asks for, now or when application code has decided.

        :param text: the whole message.
        :returns: whether it is done; if not, the ledger hears of it later.
        :raises MessageRefused: when it may not be done.
        """
        if subscriber.identity.source == AWAITING:
            self._check_authenticating(subscriber, request)
        self._check(subscriber, request, len(text))
        waiting = subscriber.waiting
        judge = self._judge(request)
        if judge is None and (waiting is None or not waiting.entries):
            self._effects[type(request)](subscriber, request, PASS, len(text))
            return True
        waiting = self._waiting_of(subscriber, request, len(text))
        entry = PendingRequest(request, text, subscriber.identity, None if judge else PASS)
        waiting.add(entry)
        if judge is not None:
            judge(subscriber, request, partial(self._decided, subscriber, entry))
        return False

    def refused(self, subscriber: Subscriber, error: MessageRefused, raw: bytes) -> None:
        """Count a client's input that was not carried out."""
        self.broker.ledger.refuse(Source.CLIENT, self.origin_of(subscriber), error, raw)

    @staticmethod
    def origin_of(subscriber: Subscriber) -> str:
        """How refusals name a client."""
        return f"session {subscriber.session_id}"

    # What application code decides.

    def _judge(self, request: Request) -> Callable[..., None] | None:
        application = self.application
        if application is None:
            return None
        if isinstance(request, Subscribe) and application.judges_subscribing:
            return application.subscribing
        if isinstance(request, Publish) and application.judges_publishing:
            return None if application.has_action(request.topic) else application.publishing
        return None

    def _waiting_of(self, subscriber: Subscriber, request: Request, size: int) -> PendingRequests:
        waiting = subscriber.waiting
        if waiting is None:
            waiting = subscriber.waiting = PendingRequests()
        limits = self._limits
        if len(waiting) >= limits.pending:
            detail = f"{limits.pending} are allowed."
        elif len(waiting) and waiting.size + size > limits.pending_bytes:
            detail = f"{waiting.size + size} bytes in all, {limits.pending_bytes} allowed."
        else:
            return waiting
        if isinstance(request, Call):
            self._refuse_call(subscriber, request, Refusal.TOO_MANY_PENDING)
        raise MessageRefused(Refusal.TOO_MANY_PENDING, detail)

    def _decided(self, subscriber: Subscriber, entry: PendingRequest, verdict: Verdict) -> None:
        entry.verdict = verdict
        waiting = subscriber.waiting
        if waiting is None:
            return
        while (first := waiting.take()) is not None:
            self._take_effect(subscriber, first)
        self._forget_waiting(subscriber, waiting)

    def _take_effect(self, subscriber: Subscriber, entry: PendingRequest) -> None:
        verdict = entry.verdict or PASS
        if verdict.refusal is not None:
            error = MessageRefused(verdict.refusal, verdict.detail)
            self.refused(subscriber, error, entry.text)
            return
        request, size = entry.whole(subscriber.session.call_arguments), len(entry.text)
        try:
            if subscriber.identity is not entry.identity:
                # What it may have changed behind the request before.
                self._check(subscriber, request, size)
            elif isinstance(request, Subscribe):
                # Others may have taken the room meanwhile.
                self._check_room(subscriber, request.topic)
            self._effects[type(request)](subscriber, request, verdict, size)
        except MessageRefused as error:
            self.refused(subscriber, error, entry.text)
        else:
            self.broker.ledger.accept(Source.CLIENT)

    @staticmethod
    def _forget_waiting(subscriber: Subscriber, waiting: PendingRequests) -> None:
        if not len(waiting) and subscriber.waiting is waiting:
            subscriber.waiting = None

    # Checks.

    def _check(self, subscriber: Subscriber, request: Request, size: int) -> None:
        check = self._checks.get(type(request))
        if check is not None:
            check(subscriber, request, size)

    def _check_authenticating(self, subscriber: Subscriber, request: Request) -> None:
        if isinstance(request, Call):
            if request.procedure in AUTHENTICATION_PROCEDURES:
                return
            text = subscriber.session.error(
                request.call_id, ERROR_NOT_AUTHENTICATED, "call authreq and auth first"
            )
            self.broker.fanout.reply(subscriber.outbox, text)
        raise MessageRefused(Refusal.NOT_AUTHENTICATED)

    def _check_topic(self, topic: str) -> None:
        if not topic:
            raise MessageRefused(Refusal.CLIENT_TOPIC_EMPTY)
        most = self._limits.topic_bytes
        if len(topic) * 4 > most and len(topic.encode()) > most:
            raise MessageRefused(
                Refusal.CLIENT_TOPIC_TOO_LONG, f"{len(topic.encode())} bytes, {most} allowed."
            )

    def _check_room(self, subscriber: Subscriber, topic: str) -> None:
        limits, hub = self._limits, self.broker.hub
        topics, most = hub.topics(subscriber), limits.subscriptions
        # What was not asked for does not use up the room of what is.
        is_full = len(topics) >= most and self.broker.asked_for(subscriber) >= most
        if is_full and topic not in topics:
            raise MessageRefused(Refusal.TOO_MANY_SUBSCRIPTIONS, f"{most} are allowed.")
        if hub.topic_count >= limits.topics and not hub.subscribers(topic):
            raise MessageRefused(Refusal.TOO_MANY_TOPICS, f"{limits.topics} are allowed.")

    def _permit(self, subscriber: Subscriber, action: Action, topic: str, size: int) -> None:
        permissions = self.broker.policy.permissions
        if permissions is None:
            return
        decision = permissions.decide(subscriber.identity, action, topic, size)
        if decision.rule is None and action is Action.PUBLISH:
            self._check_publishing(subscriber, topic)
            return
        if decision.per_second and decision.allowed:
            if subscriber.buckets is None:
                subscriber.buckets = {}
            decision = permissions.spend(decision, subscriber.buckets)
        if decision.refusal is not None:
            user = shown(subscriber.identity.user)
            what = "Procedure or action" if action is Action.CALL else "Topic"
            detail = f"{what} {shown(topic)}, user {user}: {decision.why}."
            raise MessageRefused(decision.refusal, detail)

    def _check_publishing(self, subscriber: Subscriber, topic: str) -> None:
        """Whether a client may publish where no permission decides."""
        publishing = self.broker.policy.publishing
        if not publishing.includes(subscriber.is_local):
            detail = f"Topic {shown(topic)}: {publishing.value}."
            raise MessageRefused(Refusal.PUBLISH_FORBIDDEN, detail)

    def _check_subscribe(self, subscriber: Subscriber, request: Subscribe, _: int) -> None:
        self._check_topic(request.topic)
        if request.topic in self.broker.hub.topics(subscriber):
            # Pages subscribe also to what is automatic, which no permission need be about.
            return
        self._permit(subscriber, Action.SUBSCRIBE, request.topic, 0)
        self._check_room(subscriber, request.topic)
        presence = self.broker.presence
        if presence is not None and request.topic.startswith(PRESENCE_CHANGES):
            topic = request.topic.removeprefix(PRESENCE_CHANGES)
            if not presence.is_on(topic):
                raise MessageRefused(Refusal.PRESENCE_OFF, f"It is {shown(topic)}.")

    def _check_publish(self, subscriber: Subscriber, request: Publish, _: int) -> None:
        topic, size = request.topic, len(request.event)
        self._check_topic(topic)
        if self.application is not None and self.application.has_action(topic):
            # An action runs code of the server, as a call does; nobody else hears of it.
            self._permit(subscriber, Action.CALL, topic, size)
            return
        if is_reserved(topic) or topic in self.reserved:
            raise MessageRefused(Refusal.CLIENT_TOPIC_RESERVED, f"It is {shown(topic)}.")
        if self.broker.policy.permissions is None:
            self._check_publishing(subscriber, topic)
        else:
            self._permit(subscriber, Action.PUBLISH, topic, size)

    def _check_call(self, subscriber: Subscriber, request: Call, size: int) -> None:
        try:
            self._permit(subscriber, Action.CALL, request.procedure, size)
        except MessageRefused as error:
            self._refuse_call(subscriber, request, error.refusal)
            raise

    def _refuse_call(self, subscriber: Subscriber, request: Call, refusal: Refusal) -> None:
        text = subscriber.session.error(
            request.call_id, ERROR_FORBIDDEN, refusal.sentence, {"reason": refusal.code}
        )
        self.broker.fanout.reply(subscriber.outbox, text)

    # Effects.

    def _subscribe(self, subscriber: Subscriber, request: Subscribe, *_: object) -> None:
        watched = request.topic.removeprefix(PRESENCE_CHANGES)
        if watched != request.topic and not self.may_learn(subscriber, watched):
            detail = f"Application code decides who has {shown(watched)}: subscribe to that first."
            raise MessageRefused(Refusal.SUBSCRIBE_FORBIDDEN, detail)
        self.broker.subscribe(subscriber, request.topic)

    def _unsubscribe(self, subscriber: Subscriber, request: Unsubscribe, *_: object) -> None:
        self.broker.unsubscribe(subscriber, request.topic)

    def _publish(
        self, subscriber: Subscriber, request: Publish, verdict: Verdict, size: int
    ) -> None:
        application = self.application
        if application is not None and application.has_action(request.topic):
            waiting = self._waiting_of(subscriber, request, size)
            waiting.called(size)
            application.act(subscriber, request, partial(self._done, subscriber, waiting, size))
            return
        if request.exclude is not None:
            exclude = frozenset(request.exclude)
        else:
            exclude = frozenset((subscriber.session_id,) if request.exclude_me else ())
        eligible = None if request.eligible is None else frozenset(request.eligible)
        everyone = not exclude and eligible is None
        audience = EVERYONE if everyone else Audience(exclude, eligible)
        payload = request.event if verdict.payload is None else verdict.payload
        self.broker.publish(Publication(request.topic, payload, audience))

    def _call(self, subscriber: Subscriber, request: Call, _: Verdict, size: int) -> None:
        procedure = self.procedures.get(request.procedure)
        application = self.application
        reply = self.broker.fanout.reply
        if procedure is not None:
            reply(subscriber.outbox, answer(procedure, subscriber, request))
        elif application is not None and application.has_procedure(request.procedure):
            waiting = self._waiting_of(subscriber, request, size)
            waiting.called(size)
            answered = partial(self._answered, subscriber, waiting, size)
            application.call(subscriber, request, answered)
        else:
            text = subscriber.session.error(
                request.call_id,
                ERROR_NO_SUCH_PROCEDURE,
                f"no procedure is registered under {request.procedure[:200]!r}",
            )
            reply(subscriber.outbox, text)

    def _done(self, subscriber: Subscriber, waiting: PendingRequests, size: int) -> None:
        waiting.answered(size)
        self._forget_waiting(subscriber, waiting)

    def _answered(
        self, subscriber: Subscriber, waiting: PendingRequests, size: int, text: bytes
    ) -> None:
        self._done(subscriber, waiting, size)
        self.broker.fanout.reply(subscriber.outbox, text)
