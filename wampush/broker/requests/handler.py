"""The handling of what clients ask for, from a text to its effect.

Owns: the life of a request, the order in which requests take effect, their effects and replies.
Must not import: Twisted, the edges, the apps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from wampush.broker.broker import Broker
from wampush.broker.delivery.outbox import Outbox
from wampush.broker.identity import Identity
from wampush.broker.identity_change import change_identity
from wampush.broker.ledger import Source
from wampush.broker.memory_costs import pending_bytes, prefix_bytes
from wampush.broker.pending import PASS, PendingRequest, PendingRequests, RequestState, Verdict
from wampush.broker.publication import Publication
from wampush.broker.requests.application import Application
from wampush.broker.requests.audiences import audience_named
from wampush.broker.requests.authorization import RequestChecks
from wampush.broker.requests.history import SubscribeSince, subscribe_since_of
from wampush.broker.requests.procedures import (
    ERROR_NOT_AUTHENTICATED,
    CallRefused,
    Procedures,
    answer,
)
from wampush.broker.requests.refusals import refuse
from wampush.broker.requests.streams import StreamSubscribe
from wampush.broker.requests.subscribing import Subscribing
from wampush.broker.requests.topic_reads import TopicReads
from wampush.broker.subscriber import Subscriber
from wampush.errors import MessageRefused, Refusal
from wampush.wamp.messages import Call, Publish, Subscribe, Unsubscribe
from wampush.wamp.session import Request
from wampush.wamp.uris import (
    ERROR_FORBIDDEN,
    ERROR_NO_SUCH_PROCEDURE,
    PROCEDURE_SUBSCRIBE,
)

# Read for each request; reading a member from its enumeration takes as long as a call.
_CLIENT: Final = Source.CLIENT
_NO_PROCEDURES: Final[Procedures] = MappingProxyType({})


class RequestHandler:
    """Carries out what clients ask for.

    A request is in one of these states, the middle two of which :mod:`wampush.broker.pending` owns:

    ======= ====================================== =====================================
    arrived its text is read, and it is checked    pending if the application judges it,
                                                   decided if earlier requests wait,
                                                   else effect
    pending the application is asked               decided by its verdict
    decided earlier requests of the session wait,  effect, after a second check
            or what its topic keeps is read
    effect  subscribed, published, called          counted as accepted
    ======= ====================================== =====================================

    In the first three it can also be refused, and is when the session ends. Events for the session
    do not wait for its requests. Calls and actions that the application answers count as pending
    until it has.

    :param broker: where requests take effect.
    :param checks: decides whether they may.
    :param procedures: are answered at once, by URI.
    :param application: judges requests, answers calls and actions; None when there is none.
    """

    def __init__(
        self,
        broker: Broker,
        checks: RequestChecks,
        procedures: Procedures = _NO_PROCEDURES,
        application: Application | None = None,
    ) -> None:
        self.broker: Final = broker
        self.procedures: Final = procedures
        self.application: Final = application
        self._checks = checks
        self._memory = broker.memory
        mirrors = broker.mirrors
        self._reads = None if mirrors is None else TopicReads(mirrors, procedures, checks.may_learn)
        subscribing = Subscribing(broker, checks)
        self._effects: Final[Mapping[type, Callable[[Subscriber, Any, Verdict, bytes], None]]] = {
            Subscribe: subscribing.subscribe,
            Unsubscribe: subscribing.unsubscribe,
            Publish: self._publish,
            Call: self._call,
            SubscribeSince: subscribing.subscribe_since,
            StreamSubscribe: subscribing.subscribe_stream,
        }

    # Sessions.

    def on_open(self, subscriber: Subscriber, *, automatic: bool = True) -> None:
        """Open a session: it gets WELCOME, then the application learns of it.

        :param automatic: whether it gets automatic topics.
        """
        self.broker.on_open(subscriber, automatic=automatic)
        if self.application is not None:
            self.application.on_open(subscriber)

    def become(self, subscriber: Subscriber, identity: Identity) -> None:
        """Give a session another identity, or the same with fresh credentials.

        The indexes change first, then presence, then the application learns of it.
        """
        before = subscriber.identity
        changed = change_identity(self.broker, subscriber, identity)
        if changed and self.application is not None:
            self.application.on_identity(subscriber, before)

    def on_lost(self, subscriber: Subscriber) -> None:
        """End a session: the indexes are cleared, then the application learns of it."""
        self.broker.on_lost(subscriber)
        pending, subscriber.pending = subscriber.pending, None
        if pending is not None:
            for waiting in pending.take_all():
                self.refuse(subscriber, MessageRefused(Refusal.SESSION_ENDED), waiting.text)
        if self.application is not None:
            self.application.on_lost(subscriber)

    # Requests: arrived.

    def on_text(self, subscriber: Subscriber, text: bytes) -> None:
        """Take a message of a client. Whatever is in it, nothing is raised.

        :param text: the payload of a text frame.
        """
        try:
            request = subscriber.session.receive(text, partial(self._keep_prefix, subscriber))
        except MessageRefused as error:
            self.refuse(subscriber, error, text)
            return
        if request is None:
            self.broker.ledger.accept(_CLIENT)
            return
        if type(request) is Call and request.procedure == PROCEDURE_SUBSCRIBE:
            self._arrive_since(subscriber, request, text)
            return
        try:
            self._arrive(subscriber, request, text)
        except MessageRefused as error:
            self._refuse_request(subscriber, request, error, text)

    def check_stream(self, subscriber: Subscriber, topic: str) -> None:
        """Check that a session that is not open yet may subscribe, as far as that is known.

        :raises MessageRefused: when it may not.
        """
        request = Subscribe(topic)
        self._checks.check_authenticated(subscriber, request)
        self._checks.check(subscriber, request, len(topic))
        # The request itself counts for rates, once the session is open.
        subscriber.buckets = None

    def on_stream(self, subscriber: Subscriber, request: StreamSubscribe) -> None:
        """Take a subscription of a client that only listens; it is checked, judged and put in order
        as any other one. Nothing is raised.
        """
        text = request.topic.encode()
        try:
            self._arrive(subscriber, request, text)
        except MessageRefused as error:
            self._refuse_request(subscriber, request, error, text)

    def _arrive_since(self, subscriber: Subscriber, call: Call, text: bytes) -> None:
        """Take a call that is checked, judged and put in order as the SUBSCRIBE that it is."""
        try:
            request = subscribe_since_of(call)
        except CallRefused as error:
            reply = subscriber.session.error(call.call_id, error.uri, error.description)
            self.broker.fanout.reply(subscriber.outbox, reply)
            self.broker.ledger.accept(_CLIENT)
            return
        try:
            self._arrive(subscriber, request, text)
        except MessageRefused as refusal:
            self._refuse_request(subscriber, request, refusal, text)

    def refuse(self, subscriber: Subscriber, error: MessageRefused, raw: bytes) -> None:
        """Count a client's input that was not carried out."""
        refuse(self.broker.ledger, subscriber, error, raw)

    def _arrive(self, subscriber: Subscriber, request: Request, text: bytes) -> None:
        """Check a request; let it take effect, or wait.

        :raises MessageRefused: when the session may not do it.
        """
        self._checks.check_authenticated(subscriber, request)
        self._checks.check(subscriber, request, len(text))
        judge = self._judge(request)
        pending = subscriber.pending
        # Asked in any case, so that reading the topic begins now.
        is_ready = self._reads is None or self._reads.is_ready(subscriber, request)
        if judge is None and is_ready and (pending is None or not pending.requests):
            self._effects[type(request)](subscriber, request, PASS, text)
            self.broker.ledger.accept(_CLIENT)
            return
        pending, kept = self._pending_of(subscriber, text, reads=not is_ready)
        state = RequestState.DECIDED if judge is None else RequestState.PENDING
        waiting = PendingRequest(
            request, text, subscriber.identity, state, kept, reads=not is_ready
        )
        pending.add(waiting)
        if judge is not None:
            if isinstance(request, Publish):
                self.broker.fanout.expect()
            judge(subscriber, request, partial(self._decide, subscriber, waiting))
        elif not is_ready:
            # Now, and not in its turn, so that several topics are read at once.
            self._read_topic(subscriber, waiting, request)

    def _refuse_request(
        self, subscriber: Subscriber, request: Request, error: MessageRefused, text: bytes
    ) -> None:
        """Count a request as refused; answer it if it has an answer, as every call has."""
        if isinstance(request, Call | SubscribeSince):
            refusal, session = error.refusal, subscriber.session
            if refusal is Refusal.NOT_AUTHENTICATED:
                reply = session.error(
                    request.call_id, ERROR_NOT_AUTHENTICATED, "call authreq and auth first"
                )
            else:
                details = {"reason": refusal.code}
                reply = session.error(request.call_id, ERROR_FORBIDDEN, refusal.sentence, details)
            self.broker.fanout.reply(subscriber.outbox, reply)
        refuse(self.broker.ledger, subscriber, error, text, request)
        if isinstance(request, StreamSubscribe):
            request.listener.on_outcome(request.topic, error)

    # Requests: pending and decided.

    def _judge(self, request: Request) -> Callable[..., None] | None:
        """Return the method of the application that decides about a request; None for none."""
        application = self.application
        if application is None:
            return None
        if isinstance(request, Subscribe) and application.judges_subscribing:
            return application.subscribing
        if isinstance(request, Publish) and application.judges_publishing:
            return None if application.has_action(request.topic) else application.publishing
        return None

    def _pending_of(
        self, subscriber: Subscriber, text: bytes, *, reads: bool = False
    ) -> tuple[PendingRequests, int]:
        """Return the requests of a session that wait, if one more may.

        :param text: of the one more.
        :param reads: whether it does not wait for the application, but for what its topic keeps.
        :returns: also what it takes in memory, which is counted.
        :raises MessageRefused: TOO_MANY_PENDING, or a limit on memory.
        """
        pending = subscriber.pending
        if pending is None:
            pending = PendingRequests()
        self._checks.check_pending(pending, len(text), reads=reads)
        kept = pending_bytes(text)
        self._memory.admit(subscriber, kept)
        subscriber.pending = pending
        return pending, kept

    def _decide(self, subscriber: Subscriber, waiting: PendingRequest, verdict: Verdict) -> None:
        """Note a verdict; let all requests take effect that wait for nothing else."""
        waiting.decide(verdict)
        self._go_on(subscriber)

    def _go_on(self, subscriber: Subscriber) -> None:
        """Let all requests take effect that wait for nothing else."""
        pending = subscriber.pending
        if pending is None:
            return
        while (first := pending.first) is not None:
            if first.state is RequestState.DECIDED and self._awaits_topic(subscriber, first):
                continue
            pending.take()
            self._take_effect(subscriber, first)
        self._release(subscriber, pending)

    def _awaits_topic(self, subscriber: Subscriber, waiting: PendingRequest) -> bool:
        """Have the topic of a request read, if need be; return whether the request waits for it."""
        if self._reads is None or waiting.verdict.refusal is not None:
            return False
        request = waiting.whole(subscriber.session.call_arguments)
        if self._reads.is_ready(subscriber, request):
            return False
        self._read_topic(subscriber, waiting, request)
        return True

    def _read_topic(
        self, subscriber: Subscriber, waiting: PendingRequest, request: Request
    ) -> None:
        waiting.await_topic()
        if self._reads is not None:
            self._reads.wait(subscriber, request, partial(self._on_topic, subscriber, waiting))

    def _on_topic(self, subscriber: Subscriber, waiting: PendingRequest) -> None:
        waiting.go_on()
        self._go_on(subscriber)

    def _take_effect(self, subscriber: Subscriber, waiting: PendingRequest) -> None:
        verdict, text = waiting.verdict, waiting.text
        self._memory.release(subscriber, waiting.kept)
        if verdict.refusal is not None:
            refusal = MessageRefused(verdict.refusal, verdict.detail)
            self._refuse_request(subscriber, waiting.request, refusal, text)
            return
        request = waiting.whole(subscriber.session.call_arguments)
        try:
            if subscriber.identity is not waiting.identity:
                # An earlier request may have changed the identity.
                self._checks.check(subscriber, request, len(text))
            elif isinstance(request, Subscribe):
                # Others may have taken the room meanwhile.
                self._checks.check_room(subscriber, request.topic)
            self._effects[type(request)](subscriber, request, verdict, text)
        except MessageRefused as error:
            self._refuse_request(subscriber, request, error, text)
        else:
            self.broker.ledger.accept(_CLIENT)

    @staticmethod
    def _release(subscriber: Subscriber, pending: PendingRequests) -> None:
        """Free the memory if nothing is pending any more."""
        if not len(pending) and subscriber.pending is pending:
            subscriber.pending = None

    # Requests: effect.

    def _publish(
        self, subscriber: Subscriber, request: Publish, verdict: Verdict, text: bytes
    ) -> None:
        application = self.application
        if application is not None and application.has_action(request.topic):
            done = self._begin_call(subscriber, text, "")
            self.broker.fanout.expect()
            application.act(subscriber, request, done)
            return
        audience = audience_named(request, subscriber.session_id)
        payload = request.event if verdict.payload is None else verdict.payload
        self.broker.publish(Publication(request.topic, payload, audience))

    def _call(self, subscriber: Subscriber, request: Call, _: Verdict, text: bytes) -> None:
        procedure = self.procedures.get(request.procedure)
        application = self.application
        reply = self.broker.fanout.reply
        if procedure is not None:
            reply(subscriber.outbox, answer(procedure, subscriber, request))
        elif application is not None and application.has_procedure(request.procedure):
            done = self._begin_call(subscriber, text, request.call_id)
            on_answer = partial(self._on_answer, subscriber.outbox, done)
            application.call(subscriber, request, on_answer)
        else:
            error = subscriber.session.error(
                request.call_id,
                ERROR_NO_SUCH_PROCEDURE,
                f"no procedure is registered under {request.procedure[:200]!r}",
            )
            reply(subscriber.outbox, error)

    def _begin_call(self, subscriber: Subscriber, text: bytes, call_id: str) -> Callable[[], None]:
        """Count a call or, without an id, an action; return what ends this.

        :raises MessageRefused: as :meth:`_pending_of`.
        """
        pending, kept = self._pending_of(subscriber, text)
        size = len(text)
        pending.add_call(size, call_id)
        return partial(self._end_call, subscriber, pending, size, kept, call_id)

    def _end_call(
        self, subscriber: Subscriber, pending: PendingRequests, size: int, kept: int, call_id: str
    ) -> None:
        pending.remove_call(size, call_id)
        self._memory.release(subscriber, kept)
        self._release(subscriber, pending)

    def _on_answer(self, outbox: Outbox, done: Callable[[], None], text: bytes) -> None:
        done()
        self.broker.fanout.reply(outbox, text)

    def _keep_prefix(self, subscriber: Subscriber, prefix: str, uri: str) -> None:
        """Count a prefix that a session is about to define, perhaps anew.

        :raises MessageRefused: a limit on memory.
        """
        before = subscriber.session.prefixes.get(prefix)
        replaced = 0 if before is None else prefix_bytes(prefix, before)
        self._memory.admit(subscriber, prefix_bytes(prefix, uri) - replaced)
